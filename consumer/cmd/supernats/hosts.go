package main

import (
	"context"
	"os"
	"time"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema"
)

type hostsCmd struct {
	List   hostsListCmd   `cmd:"" default:"withargs" help:"${help_hosts}"`
	Forget hostsForgetCmd `cmd:"" help:"Drop the records, alerts and consumer of a host that is gone for good."`
}

type hostsListCmd struct {
	Pattern string `arg:"" optional:"" help:"A glob for a host."`
	outputFlag
}

// Run prints the records of the hosts.
func (h *hostsListCmd) Run(ctx context.Context, c *common) error {
	if err := (consumer.Filter{Hosts: []string{h.Pattern}}).Check(); err != nil {
		return usageError{err}
	}

	return c.withReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		f, err := r.Fleet(ctx)
		if err != nil {
			return err
		}
		hosts := f.List(func(host string) bool { return h.Pattern == "" || schema.MatchGlob(h.Pattern, host) })

		if form := h.form(); form != terminal.FormTable {
			return terminal.PrintJSON(os.Stdout, form, hosts)
		}
		return printHosts(os.Stdout, hosts, f.Now)
	})
}

func printHosts(w *os.File, hosts []inspect.Host, now time.Time) error {
	if len(hosts) == 0 {
		terminal.Say("no host is known that matches; a host appears when its supernats-bridge starts")
		return nil
	}

	return tables.Hosts(hosts, now).Print(w)
}
