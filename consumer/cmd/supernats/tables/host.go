package tables

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"supernats/consumer/inspect"
	"supernats/consumer/state"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Hosts shows hosts, their supervisords and bridges. now is the time by which spans are
// read.
func Hosts(hosts []inspect.Host, now time.Time) *terminal.Table {
	t := &terminal.Table{
		Columns: []string{
			"HOST", "LAST SEEN", "SUPERVISORD", "STATE", "TROUBLE", "CLOCK", "BRIDGE",
			"RUNNING", "DOWN", "STOPPED", "EXITED", "LOST", "LAST LOSS",
		},
		Colored: "STATE", Now: now,
		Optional: []string{"LAST LOSS", "BRIDGE", "SUPERVISORD", "EXITED", "STOPPED", "RUNNING", "CLOCK", "LOST"},
		Flexible: map[string]int{"HOST": terminal.WideName, "STATE": terminal.WideText, "TROUBLE": terminal.WideText},
	}
	for i := range hosts {
		t.Add(hostColor(&hosts[i]), hostRow(&hosts[i], now)...)
	}
	return t
}

func hostRow(h *inspect.Host, now time.Time) []string {
	seen := "-"
	if !h.LastSeen.IsZero() {
		seen = wording.Compact(now.Sub(h.LastSeen.Time)) + " ago"
	}
	count := func(n int) string {
		if h.UnknownSince != nil { // the record says how many there were
			return "-"
		}
		return fmt.Sprint(n)
	}

	return []string{
		h.HostRecord.Host, seen, cmp.Or(h.SupervisorVersion, "-"), hostState(h),
		cmp.Or(strings.Join(troubleCauses(&h.HostRecord), " "), "-"),
		cmp.Or(clockOffset(&h.HostRecord), "-"), bridgeVersions(&h.HostRecord),
		count(h.Running), count(h.Down), count(h.Stopped), count(h.Exited),
		wording.Number(h.Lost), wording.Date(h.LastLoss),
	}
}

// bridgeVersions are those of the bridges that run, each once; where none is known to run,
// that of the last one.
func bridgeVersions(h *schema.HostRecord) string {
	var versions []string
	for i := range h.Bridges {
		b := &h.Bridges[i]
		ended := slices.ContainsFunc(h.Lives, func(l schema.HostLife) bool {
			return l.Boot == b.Boot && l.Ended != nil
		})
		if v := cmp.Or(b.Version, h.BridgeVersion); b.Stopped == nil && !ended && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	if len(versions) < 2 {
		return cmp.Or(strings.Join(versions, ""), h.BridgeVersion, "-")
	}
	slices.Sort(versions)
	return strings.Join(versions, ", ")
}

// hostState is that of a host's supervisord, and how many supervisords there are if there
// are several.
func hostState(h *inspect.Host) string {
	s := cmp.Or(h.SupervisorState, "-")
	switch {
	case h.ShutDownSince != nil:
		return "shut down since " + wording.Date(h.ShutDownSince)
	case h.UnknownSince != nil && h.SupervisorState == schema.SupervisorGone:
		return "died, unknown since " + wording.Date(h.UnknownSince)
	case h.UnknownSince != nil:
		return "unknown since " + wording.Date(h.UnknownSince)
	case h.Silent > 0:
		return s + fmt.Sprintf(", %d of %d supervisords silent", h.Silent, h.Supervisords)
	case h.Supervisords > 1:
		return s + fmt.Sprintf(", %d supervisords", h.Supervisords)
	}
	return s
}

// troubleCauses are those of the troubles of a host, each once.
func troubleCauses(h *schema.HostRecord) (list []string) {
	for _, t := range h.Troubles {
		if !slices.Contains(list, t.Cause) {
			list = append(list, t.Cause)
		}
	}
	if h.MoreTroubles > 0 {
		list = append(list, "…")
	}
	return list
}

// clockOffset says how wrong a host's clock is: "+3d" is ahead, "" is right. Of several
// supervisords, which may be on two machines, the one that is farthest off counts.
func clockOffset(h *schema.HostRecord) string {
	var worst time.Duration
	for _, l := range h.Lives {
		if l.Ended != nil || l.Clock == nil {
			continue
		}
		if d := time.Duration(l.Clock.Offset) * time.Millisecond; d.Abs() > worst.Abs() {
			worst = d
		}
	}

	switch {
	case worst.Abs() <= state.WrongClock:
		return ""
	case worst < 0:
		return "+" + state.Span(worst)
	}
	return "-" + state.Span(worst)
}

func hostColor(h *inspect.Host) terminal.Color {
	switch {
	case h.ShutDownSince != nil:
		return terminal.Grey
	case h.UnknownSince != nil:
		return terminal.Red
	case len(h.Troubles) > 0 || h.Silent > 0:
		return terminal.Yellow
	case h.SupervisorState == schema.SupervisorRunning:
		return terminal.Green
	}
	return terminal.Yellow
}
