package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// examples are two or more of each command, below its help.
var examples = map[string][]string{
	"":        {"supernats-bridge conf --nats-url nats://nats-1:4222 > /etc/supervisor/conf.d/supernats.conf", "supernats-bridge --nats-url nats://nats-1:4222 --listen 127.0.0.1:9100"},
	"conf":    {"supernats-bridge conf", "supernats-bridge conf --nats-url nats://nats-1:4222,nats://nats-2:4222 --host web1 --one-section", "supernats-bridge conf --container --nats-creds /etc/supernats/bridge.creds"},
	"spool":   {"supernats-bridge spool", "supernats-bridge spool --spool-dir /var/lib/supernats/web1 --dump"},
	"version": {"supernats-bridge version", "supernats-bridge --version"},
}

var (
	bridgeFlags     = &kong.Group{Key: "bridge", Title: "Flags of the bridge:"}
	connectionFlags = &kong.Group{Key: "connection", Title: "Connection flags:"}
)

// printHelp prints what a command has of its own first, and last the flags of the
// connection: they are many, so commands only say where they are.
func printHelp(options kong.HelpOptions, k *kong.Context) error {
	command, name := k.Selected(), ""
	if command != nil {
		name = command.Name
	}
	var folded []string
	for _, f := range k.Model.Flags {
		f.Group = bridgeFlags
		if strings.HasPrefix(f.Name, "nats-") {
			f.Group, f.Hidden = connectionFlags, command != nil
			folded = append(folded, f.Name)
		}
	}
	options.FlagsLast = true
	if err := kong.DefaultHelpPrinter(options, k); err != nil {
		return err
	}

	if command != nil && len(folded) > 0 {
		fmt.Fprintf(k.Stdout, "\nConnection flags (--%s, …, --%s): supernats-bridge --help\n", folded[0], folded[len(folded)-1])
	}
	_, err := fmt.Fprintf(k.Stdout, "\nExamples:\n  %s\n", strings.Join(examples[name], "\n  "))
	return err
}

// describe adds the default to the help of a flag.
func describe(v *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(v)
	if !v.HasDefault || v.Default == "" || v.IsBool() || strings.Contains(text, "default:") {
		return text
	}
	return strings.TrimSuffix(text, ".") + " (default: " + v.Default + ")."
}
