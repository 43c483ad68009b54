package tables

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Mutes shows silences. now is the time by which spans are read.
func Mutes(mutes []inspect.Mute, now time.Time) *terminal.Table {
	t := &terminal.Table{
		Columns:  []string{"ID", "MATCHES", "LEFT", "ALERTS", "AUTHOR", "CREATED", "COMMENT"},
		Optional: []string{"CREATED", "ALERTS", "AUTHOR"},
		Flexible: map[string]int{
			"MATCHES": terminal.WideName, "AUTHOR": terminal.WideName, "COMMENT": terminal.WideText,
		},
	}
	for _, m := range mutes {
		t.Add(terminal.Grey, m.ID, Matchers(&m.Mute), wording.Compact(m.Expires.Sub(now)),
			wording.Number(len(m.Alerts)), m.Author, wording.Date(&m.Created), m.Comment)
	}
	return t
}

// Coverage says how much a silence matches.
func Coverage(c *inspect.Coverage) string {
	s := fmt.Sprintf("matches %d of %s", c.Processes, wording.Count(c.KnownProcesses, "process", "processes"))
	if c.Processes == 0 || c.Hosts == 0 {
		s += fmt.Sprintf(" and %d of %s", c.Hosts, wording.Count(c.KnownHosts, "host", "hosts"))
	}
	if c.IsEmpty() {
		s += "; globs are meant, not regular expressions"
	}
	return s
}

// Matchers writes what a silence matches as its flags.
func Matchers(m *schema.Mute) string {
	var flags []string
	for _, f := range []struct {
		name  string
		globs []string
	}{{"--host", m.Hosts}, {"--group", m.Groups}, {"--process", m.Processes}, {"--rule", m.Rules}} {
		for _, g := range f.globs {
			flags = append(flags, f.name+" "+g)
		}
	}
	return cmp.Or(strings.Join(flags, " "), "every alert")
}

// WarnOfEmptyMute says on stderr, for those who do not read the JSON, that a silence
// matches nothing.
func WarnOfEmptyMute(m *inspect.Mute) {
	if !m.Covers.IsEmpty() || len(m.Alerts) > 0 {
		return
	}
	terminal.Say("supernats: silence %s %s", m.ID, Coverage(m.Covers))
	for _, hint := range m.Covers.Hints {
		terminal.Say("supernats: %s", hint)
	}
	fmt.Fprintln(os.Stderr, "supernats: if something else was meant:", unmuteCommand(m))
}

// unmuteCommand is the command that takes a silence back.
func unmuteCommand(m *inspect.Mute) string { return "supernats unmute " + m.ID }

// PrintMute prints a silence that was just made, and what it mutes.
func PrintMute(w *os.File, m *inspect.Mute, alerts []schema.Alert) error {
	width := terminal.Width(w)
	var b strings.Builder
	say := func(format string, args ...any) {
		b.WriteString(terminal.Hanging(fmt.Sprintf(format, args...), 0, width))
	}
	say("%s mutes %s until %s", m.ID, Matchers(&m.Mute), wording.Date(&m.Expires))
	say("It %s.", Coverage(m.Covers))
	for _, hint := range m.Covers.Hints {
		say("%s", hint)
	}
	if m.Covers.IsEmpty() {
		fmt.Fprintln(&b, "If something else was meant:", unmuteCommand(m)) // to be copied
	}
	if len(m.Alerts) == 0 {
		say("It mutes no open alert.")
	} else {
		say("It mutes these open alerts:")
	}

	if _, err := w.WriteString(b.String()); err != nil || len(m.Alerts) == 0 {
		return err
	}
	return MutedAlerts(m, alerts).Print(w)
}
