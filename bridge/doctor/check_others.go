package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"supernats/bridge/daemons"
	"supernats/bridge/listeners"
	"supernats/bridge/supervisordconf"
	"supernats/schema/checkup"
)

// fewNamed is how many of a kind are named in one line.
const fewNamed = 5

// checkOthers looks at the other supervisords of this machine. That one has no bridge may be
// meant: it is said, and no failure.
func checkOthers(_ context.Context, h *host) {
	var bare, with []string
	contained := 0
	for _, d := range h.machine.Daemons {
		switch {
		case d.PID == h.daemon.PID, isSameFile(d.Conf, h.Conf):
		case d.Contained:
			contained++
		case len(d.Bridges) == 0:
			bare = append(bare, nameDaemon(d))
		default:
			with = append(with, nameDaemon(d))
			checkRival(h, d)
		}
	}

	var parts []string
	if len(with) > 0 {
		parts = append(parts, "with a bridge: "+firstOf(with))
	}
	if contained > 0 {
		parts = append(parts, fmt.Sprintf("%d in containers, which are not looked at", contained))
	}
	if len(bare) > 0 {
		parts = append(parts, "without a bridge, so nobody is notified of their programs: "+firstOf(bare))
	}
	if len(parts) == 0 {
		parts = append(parts, "none")
	}
	text := "other supervisords on this machine: " + strings.Join(parts, "; ")
	if h.machine.Partial {
		text += " (the processes of other users are hidden from us)"
	}
	h.report.OK("%s", text)
}

// nameDaemon names a supervisord by what tells it from others.
func nameDaemon(d daemons.Running) string {
	if d.Conf == "" {
		return fmt.Sprintf("pid %d", d.PID)
	}
	return fmt.Sprintf("pid %d (%s)", d.PID, d.Conf)
}

// firstOf lists the first of some names.
func firstOf(names []string) string {
	if len(names) <= fewNamed {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:fewNamed], ", ") + fmt.Sprintf(" and %d more", len(names)-fewNamed)
}

// checkRival finds processes that have the same name under the same host: what is recorded
// of one would be taken for the other's.
func checkRival(h *host, d daemons.Running) {
	for _, other := range d.Bridges {
		flags, err := h.sections.FlagsIn(other.Environ(), other.Args)
		i := slices.IndexFunc(h.bridges, func(b *listeners.Bridge) bool {
			return b.FlagsErr == nil && b.Flags.Host == flags.Host
		})
		if err != nil || i < 0 {
			continue
		}

		b := h.bridges[i]
		same := h.sameProcesses(d)
		if len(same) == 0 {
			return
		}
		h.report.warn(b.Section, "command",
			"give the bridges of one of them another --host in command=, then run: "+h.fix.apply(b.Section),
			"the supervisord %s publishes as host %q too, and both have %s: what happens to one is taken for the "+
				"other's", nameDaemon(d), flags.Host, firstOf(same))
		return
	}
}

// sameProcesses are the processes that both supervisords have, but for their listeners.
func (h *host) sameProcesses(d daemons.Running) (same []string) {
	conf, err := supervisordconf.ReadAs(h.looksAt(d.Conf), d.PID)
	if err != nil {
		return nil
	}
	own := map[string]bool{}
	for _, p := range h.conf.Programs() {
		own[p.Group+":"+p.Process] = !p.Listener
	}
	for _, p := range conf.Programs() {
		if name := p.Group + ":" + p.Process; own[name] && !p.Listener {
			same = append(same, name)
		}
	}
	return same
}

// checkOrphans finds bridges that have outlived their supervisord, and hold a spool.
func checkOrphans(h *host, b *listeners.Bridge, holders []int) {
	for _, orphan := range h.machine.Orphans {
		if slices.Contains(holders, orphan.PID) {
			h.report.addAt(checkup.Warn, b.Section, "command", fmt.Sprintf("kill %d", orphan.PID),
				"process %d, a bridge whose supervisord has ended, still holds the spool: its events come late, and "+
					"its memory is not freed", orphan.PID)
		}
	}
}
