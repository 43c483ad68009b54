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
	"supernats/schema"
)

type hostsCmd struct {
	Pattern string `arg:"" optional:"" help:"A glob for a host."`
	outputFlag
}

// shownHost is a record of a host as it is printed.
type shownHost struct {
	schema.Host
	// UnknownSince is set if nothing has come from the host since then.
	UnknownSince *schema.Time `json:"unknown_since,omitempty"`
}

// Run prints the records of the hosts.
func (h *hostsCmd) Run(ctx context.Context, c *common) error {
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
			if h.Pattern != "" && !consumer.Glob(h.Pattern, r.Host) {
				continue
			}
			shown := shownHost{Host: r}
			if f.silent(&r) {
				shown.UnknownSince = &r.LastSeen
			}
			hosts = append(hosts, shown)
		}
		slices.SortFunc(hosts, func(a, b shownHost) int { return strings.Compare(a.Host.Host, b.Host.Host) })
		if output := outputFor(os.Stdout, h.Output); output != outputTable {
			return printJSON(os.Stdout, output, hosts)
		}
		return printHosts(os.Stdout, hosts, f.now)
	})
}

var hostColumns = []string{"HOST", "LAST SEEN", "SUPERVISORD", "STATE", "BRIDGE", "RUNNING", "DOWN", "STOPPED", "EXITED", "LOST", "LAST LOSS"}

func printHosts(w *os.File, hosts []shownHost, now time.Time) error {
	if len(hosts) == 0 {
		_, err := fmt.Fprintln(os.Stderr, "no host is known that matches; a host appears when its supernats-bridge starts")
		return err
	}
	g := grid{columns: hostColumns, colored: "STATE"}
	for _, h := range hosts {
		seen := "-"
		if !h.LastSeen.IsZero() {
			seen = age(now.Sub(h.LastSeen.Time)) + " ago"
		}
		state := cmp.Or(h.SupervisorState, "-")
		if h.UnknownSince != nil {
			state = "unknown since " + date(h.UnknownSince)
		}
		g.add(hostColor(h), h.Host.Host, seen, cmp.Or(h.SupervisorVersion, "-"), state, cmp.Or(h.BridgeVersion, "-"),
			fmt.Sprint(h.Running), fmt.Sprint(h.Down), fmt.Sprint(h.Stopped), fmt.Sprint(h.Exited), dash(h.Lost), date(h.LastLoss))
	}
	return g.print(w)
}

func hostColor(h shownHost) lipgloss.ANSIColor {
	switch {
	case h.UnknownSince != nil:
		return red
	case h.SupervisorState == "RUNNING":
		return green
	}
	return yellow
}
