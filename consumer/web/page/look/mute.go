package look

import (
	"strings"

	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/wording"
	"supernats/schema"
)

// MuteRow is a silence.
type MuteRow struct {
	ID, Element      string
	Matches, Comment string
	By               string
	Created, Expires Moment
	Covers           string
	// EndPath is where to end it, "" where nobody may.
	EndPath string
}

// MuteRowOf writes a silence, with what it matches in a snapshot.
func MuteRowOf(m *schema.Mute, s *fleet.Snapshot, now Clock) MuteRow {
	covered := 0
	for _, a := range s.Alerts {
		if a.IsOpen() && inspect.Silences(m, &a.Alert) {
			covered++
		}
	}
	return MuteRow{
		ID: m.ID, Element: DOMID("m", m.ID), Matches: muteWords(m), Comment: Clip(m.Comment), By: Name(m.Author),
		Created: now.At(m.Created.Time), Expires: Clock{}.At(m.Expires.Time),
		Covers: wording.Count(covered, "open alert", "open alerts"),
	}
}

// muteWords says what a silence matches.
func muteWords(m *schema.Mute) string {
	var words []string
	for _, part := range []struct {
		what  string
		globs []string
	}{{"host", m.Hosts}, {"group", m.Groups}, {"process", m.Processes}, {"rule", m.Rules}} {
		if len(part.globs) > 0 {
			words = append(words, part.what+" "+Clip(strings.Join(part.globs, ", ")))
		}
	}
	if len(words) == 0 {
		return "everything"
	}
	return strings.Join(words, " · ")
}

// Coverage counts all that a silence matches now. It looks at every process.
func Coverage(m *schema.Mute, s *fleet.Snapshot) string {
	alerts, processes, hosts := 0, 0, 0
	for _, a := range s.Alerts {
		if a.IsOpen() && inspect.Silences(m, &a.Alert) {
			alerts++
		}
	}
	for _, h := range s.Hosts {
		if !schema.MatchAny(m.Hosts, h.Name()) {
			continue
		}
		found := 0
		for _, p := range h.Processes {
			if schema.MatchAny(m.Groups, p.Group) && schema.MatchAny(m.Processes, p.ProcessRecord.Process) {
				found++
			}
		}
		if processes += found; found > 0 {
			hosts++
		}
	}
	return wording.Count(alerts, "open alert", "open alerts") + ", " +
		wording.Count(processes, "process", "processes") + " on " + wording.Count(hosts, "host", "hosts")
}
