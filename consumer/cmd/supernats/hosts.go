package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/state"
	"supernats/schema"
)

type hostsCmd struct {
	List   hostsListCmd   `cmd:"" default:"withargs" help:"Every host: last seen, what is wrong with it or its bridge, its clock, versions, processes, lost events."`
	Forget hostsForgetCmd `cmd:"" help:"A host that is gone for good: drop its records, its alerts and its consumer."`
}

type hostsListCmd struct {
	Pattern string `arg:"" optional:"" help:"A glob for a host."`
	outputFlag
}

// shownHost is a record of a host as it is printed.
type shownHost struct {
	schema.HostRecord
	// UnknownSince is set if nothing has come from the host since then, or its supervisord
	// was killed then; ShutDownSince if it announced its shutdown, and nothing came since.
	UnknownSince  *schema.Time `json:"unknown_since,omitempty"`
	ShutDownSince *schema.Time `json:"shut_down_since,omitempty"`
	// Supervisords is how many it has, Silent how many of several say nothing while
	// another one does.
	Supervisords int `json:"supervisords"`
	Silent       int `json:"supervisords_silent,omitempty"`
}

// Run prints the records of the hosts.
func (h *hostsListCmd) Run(ctx context.Context, c *common) error {
	if err := (consumer.Filter{Hosts: []string{h.Pattern}}).Check(); err != nil {
		return usageError{err}
	}
	return c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		f, err := readFleet(ctx, js)
		if err != nil {
			return err
		}
		var hosts []shownHost
		for _, r := range f.hosts {
			if h.Pattern != "" && !schema.MatchGlob(h.Pattern, r.Host) {
				continue
			}
			hosts = append(hosts, f.host(r))
		}
		slices.SortFunc(hosts, func(a, b shownHost) int { return strings.Compare(a.HostRecord.Host, b.HostRecord.Host) })
		if output := outputFor(os.Stdout, h.Output); output != outputTable {
			return printJSON(os.Stdout, output, hosts)
		}
		return printHosts(os.Stdout, hosts, f.now)
	})
}

// host is a record with what has become of the host since.
func (f *fleet) host(r schema.HostRecord) shownHost {
	h := shownHost{HostRecord: r}
	switch {
	case f.isShutDown(&r):
		h.ShutDownSince = &r.LastSeen
		h.Running, h.Down, h.Stopped = 0, 0, r.Running+r.Down+r.Stopped
	case f.silent(&r), f.isGone(&r):
		h.UnknownSince = &r.LastSeen
	}
	lives, quiet := f.living(&r)
	h.Supervisords, h.Silent = len(lives), quiet
	return h
}

var hostColumns = []string{"HOST", "LAST SEEN", "SUPERVISORD", "STATE", "TROUBLE", "CLOCK", "BRIDGE", "RUNNING", "DOWN", "STOPPED", "EXITED", "LOST", "LAST LOSS"}

func printHosts(w *os.File, hosts []shownHost, now time.Time) error {
	if len(hosts) == 0 {
		say("no host is known that matches; a host appears when its supernats-bridge starts")
		return nil
	}
	g := grid{
		columns: hostColumns, colored: "STATE", now: now,
		optional: []string{"LAST LOSS", "BRIDGE", "SUPERVISORD", "EXITED", "STOPPED", "RUNNING", "CLOCK", "LOST"},
		flexible: map[string]int{"HOST": wideName, "STATE": wideText, "TROUBLE": wideText},
	}
	for _, h := range hosts {
		seen := "-"
		if !h.LastSeen.IsZero() {
			seen = age(now.Sub(h.LastSeen.Time)) + " ago"
		}
		count := func(n int) string {
			if h.UnknownSince != nil { // the record says how many there were
				return "-"
			}
			return fmt.Sprint(n)
		}
		g.add(hostColor(h), h.HostRecord.Host, seen, cmp.Or(h.SupervisorVersion, "-"), hostState(h),
			cmp.Or(strings.Join(causes(&h.HostRecord), " "), "-"), cmp.Or(clock(&h.HostRecord), "-"), cmp.Or(h.BridgeVersion, "-"),
			count(h.Running), count(h.Down), count(h.Stopped), count(h.Exited), dash(h.Lost), date(h.LastLoss))
	}
	return g.print(w)
}

// hostState is that of a host's supervisord, and how many there are if there are
// several.
func hostState(h shownHost) string {
	s := cmp.Or(h.SupervisorState, "-")
	switch {
	case h.ShutDownSince != nil:
		return "shut down since " + date(h.ShutDownSince)
	case h.UnknownSince != nil && h.SupervisorState == schema.SupervisorGone:
		return "died, unknown since " + date(h.UnknownSince)
	case h.UnknownSince != nil:
		return "unknown since " + date(h.UnknownSince)
	case h.Silent > 0:
		return s + fmt.Sprintf(", %d of %d supervisords silent", h.Silent, h.Supervisords)
	case h.Supervisords > 1:
		return s + fmt.Sprintf(", %d supervisords", h.Supervisords)
	}
	return s
}

// causes are those of the troubles of a host, each once.
func causes(h *schema.HostRecord) (list []string) {
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

// clock says how wrong a host's is: "+3d" is ahead, "" is right. Of several
// supervisords, which may be on two machines, the one that is farthest off counts.
func clock(h *schema.HostRecord) string {
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

func hostColor(h shownHost) lipgloss.ANSIColor {
	switch {
	case h.ShutDownSince != nil:
		return grey
	case h.UnknownSince != nil:
		return red
	case len(h.Troubles) > 0 || h.Silent > 0:
		return yellow
	case h.SupervisorState == "RUNNING":
		return green
	}
	return yellow
}
