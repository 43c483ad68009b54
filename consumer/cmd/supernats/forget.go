package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/intake"
	"supernats/schema"
	"supernats/schema/stream"
)

type hostsForgetCmd struct {
	Host []string `arg:"" sep:"none" help:"The host, as 'supernats hosts' shows it. Repeatable."`
}

const (
	// forgottenWithin is how long the daemon may take: its next flush, or the start of
	// another one that stands by.
	forgottenWithin = 20 * time.Second
	forgottenEvery  = 100 * time.Millisecond
)

// Run says that hosts are gone for good, and waits until the daemon has dropped what is
// known of them.
func (h *hostsForgetCmd) Run(ctx context.Context, c *common) error {
	return c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		f, err := readFleet(ctx, js)
		if err != nil {
			return err
		}
		known := map[string]*schema.HostRecord{}
		for i := range f.hosts {
			known[f.hosts[i].Host] = &f.hosts[i]
		}
		var unknown []string
		for _, name := range h.Host {
			if known[name] == nil {
				unknown = append(unknown, clean(name))
			}
		}
		if len(unknown) > 0 {
			return fmt.Errorf("no host is known by the name of %s; `supernats hosts` lists them", strings.Join(unknown, ", "))
		}
		for _, name := range h.Host {
			if err := forgetHost(ctx, js, known[name], f.silent(known[name])); err != nil {
				return err
			}
		}
		return nil
	})
}

func forgetHost(ctx context.Context, js jetstream.JetStream, h *schema.HostRecord, silent bool) error {
	if err := intake.PublishForgotten(ctx, js, &schema.Forgotten{Host: h.Host, Reason: schema.ForgottenByHand, By: whoami()}); err != nil {
		return err
	}
	kv, err := openBucket(ctx, js, stream.HostsBucket)
	if err != nil {
		return err
	}

	// One that has come back since has another record, with a later sequence.
	for end := time.Now().Add(forgottenWithin); ; {
		e, err := kv.Get(ctx, schema.Token(h.Host))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			break
		}
		if err != nil {
			return fmt.Errorf("read bucket %s: %w", stream.HostsBucket, err)
		}
		if !silent && cameBack(e.Value(), h) {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("that host %s is gone is recorded, but nobody has dropped it within %v: is `supernats consume` running? It does so when it runs", clean(h.Host), forgottenWithin)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(forgottenEvery):
		}
	}

	fmt.Fprintf(os.Stdout, "host %s is forgotten: its records, its alerts and its consumer are deleted\n", clean(h.Host))
	if !silent {
		say("supernats: host %s was reporting until now, and comes back as a new one with its next message", h.Host)
	}
	return nil
}

// cameBack reports whether a record is of a host that was forgotten and has spoken again:
// its lives have begun again.
func cameBack(record []byte, before *schema.HostRecord) bool {
	var now schema.HostRecord
	if err := json.Unmarshal(record, &now); err != nil || len(now.Lives) == 0 || len(before.Lives) == 0 {
		return false
	}
	return now.Lives[0].FirstSeen.After(before.LastSeen.Time)
}
