package fleetcmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/inspect"
	"supernats/consumer/intake"
	"supernats/consumer/terminal"
	"supernats/schema"
)

type hostsForget struct {
	Host []string `arg:"" sep:"none" help:"The host, as 'supernats hosts' shows it. Repeatable."`
}

// forgetTimeout is how long the daemon may take: its next flush, or the start of another
// one that stands by.
const forgetTimeout = 20 * time.Second

// Examples are shown below the help.
func (*hostsForget) Examples() []string {
	return []string{"supernats hosts forget web9", "supernats hosts forget web8 web9"}
}

// Run records that hosts are gone for good, and waits until the daemon has dropped what is
// known of them.
func (h *hostsForget) Run(ctx context.Context, c *frame.Flags) error {
	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		f, err := r.Fleet(ctx)
		if err != nil {
			return err
		}
		known := map[string]*schema.HostRecord{}
		for i := range f.Hosts {
			known[f.Hosts[i].Host] = &f.Hosts[i]
		}

		var unknown []string
		for _, name := range h.Host {
			if known[name] == nil {
				unknown = append(unknown, terminal.Clean(name))
			}
		}
		if len(unknown) > 0 {
			return fmt.Errorf("no host is known by the name of %s; `supernats hosts` lists them",
				strings.Join(unknown, ", "))
		}

		for _, name := range h.Host {
			if err := forgetHost(ctx, r, known[name], f.IsSilent(known[name])); err != nil {
				return err
			}
		}
		return nil
	})
}

func forgetHost(ctx context.Context, r *inspect.Reader, h *schema.HostRecord, silent bool) error {
	forgotten := &schema.Forgotten{Host: h.Host, Reason: schema.ForgottenByHand, By: frame.Author()}
	if err := intake.PublishForgotten(ctx, r.JS, forgotten); err != nil {
		return err
	}
	if err := r.WaitForgotten(ctx, h, silent, forgetTimeout); err != nil {
		return err
	}

	_, err := fmt.Printf("host %s is forgotten: its records, its alerts and its consumer are deleted\n",
		terminal.Clean(h.Host))
	if !silent {
		terminal.Say("supernats: host %s was reporting until now, and appears as a new one with its next message",
			h.Host)
	}
	return err
}
