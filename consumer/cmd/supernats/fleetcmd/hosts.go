package fleetcmd

import (
	"context"
	"os"
	"time"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema"
)

// Hosts is the command hosts.
type Hosts struct {
	List   hostsList   `cmd:"" default:"withargs" help:"${help_hosts}"`
	Forget hostsForget `cmd:"" help:"Drop the records, alerts and consumer of a host that is gone for good."`
}

type hostsList struct {
	Pattern string `arg:"" optional:"" help:"A glob for a host."`
	frame.OutputFlag
}

// Examples are shown below the help.
func (*hostsList) Examples() []string {
	return []string{"supernats hosts", "supernats hosts 'web*' -o json"}
}

// Run prints the records of the hosts.
func (h *hostsList) Run(ctx context.Context, c *frame.Flags) error {
	if err := (consumer.Filter{Hosts: []string{h.Pattern}}).Check(); err != nil {
		return frame.UsageError{Err: err}
	}

	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		f, err := r.Fleet(ctx)
		if err != nil {
			return err
		}
		hosts := f.List(func(host string) bool { return h.Pattern == "" || schema.MatchGlob(h.Pattern, host) })
		return frame.Print(&h.OutputFlag, hosts, func(w *os.File) error { return printHosts(w, hosts, f.Now) })
	})
}

func printHosts(w *os.File, hosts []inspect.Host, now time.Time) error {
	if len(hosts) == 0 {
		terminal.Say("no host is known that matches; a host appears when its supernats-bridge starts")
		return nil
	}

	return tables.Hosts(hosts, now).Print(w)
}
