package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"supernats/consumer/cmd/supernats/completion"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/inspect"
	"supernats/schema"
	"supernats/schema/program"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Examples are shown below the help.
func (*completionCmd) Examples() []string {
	return []string{
		"supernats completion bash > /etc/bash_completion.d/supernats",
		"supernats completion zsh > /usr/local/share/zsh/site-functions/_supernats",
		"supernats completion fish > ~/.config/fish/completions/supernats.fish",
	}
}

// Run prints the script that completes commands, flags and names.
func (c *completionCmd) Run() error {
	_, err := fmt.Print(completion.Scripts[c.Shell])
	return err
}

// complete answers a shell that asks what may come next.
func complete(parser *kong.Kong, c *frame.Flags, words []string) int {
	names := func(ctx context.Context, flags []string, kind string, add func(string)) {
		if _, err := parser.Parse(append(flags, "version")); err == nil {
			addNames(ctx, c, kind, add)
		}
	}
	(&completion.Completer{Parser: parser, Names: names}).Complete(os.Stdout, words)
	return program.ExitDone
}

// addNames adds what a flag or an argument may name, from the configuration file and from
// NATS. Whatever goes wrong, there is nothing to add.
func addNames(ctx context.Context, c *frame.Flags, kind string, add func(string)) {
	c.FindConfig()
	if kind == "receiver" || kind == "rule" {
		addConfigured(c, kind, add)
	}

	_ = c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		switch kind {
		case "host", "group", "process", "pattern":
			return addProcessNames(ctx, r, kind, add)
		case "receiver":
			queues, err := r.Queues(ctx)
			for _, q := range queues {
				add(q.Receiver)
			}
			return err
		case "alert", "open-alert", "acknowledged-alert":
			return addAlerts(ctx, r, kind, add)
		case "id":
			mutes, err := r.Mutes(ctx)
			for _, m := range mutes {
				add(m.ID)
			}
			return err
		}
		return nil
	})
}

func addAlerts(ctx context.Context, r *inspect.Reader, kind string, add func(string)) error {
	alerts, err := r.AlertRecords(ctx)
	for i := range alerts {
		a := &alerts[i]
		isOpen := a.Phase == schema.PhaseFiring
		if kind == "alert" || isOpen && (kind == "open-alert" || a.IsAcknowledged()) {
			add(a.Incident)
		}
	}
	return err
}

func addConfigured(c *frame.Flags, kind string, add func(string)) {
	cfg, err := c.Load()
	if err != nil {
		return
	}
	names := cfg.RuleNames()
	if kind == "receiver" {
		names = cfg.ReceiverNames()
	}
	for _, name := range names {
		add(name)
	}
}

func addProcessNames(ctx context.Context, r *inspect.Reader, kind string, add func(string)) error {
	records, err := r.ProcessRecords(ctx)
	for _, s := range records {
		switch kind {
		case "host":
			add(s.Host)
		case "group":
			add(s.Group)
		case "process":
			add(s.Process)
		case "pattern":
			add(s.Host)
			add(s.Process)
		}
	}
	return err
}
