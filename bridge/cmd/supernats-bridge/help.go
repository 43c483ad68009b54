package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"supernats/schema/program"
)

// examples are two or more of each command, below its help.
var examples = map[string][]string{
	"": {
		"supernats-bridge conf --nats-url nats://nats-1:4222 > /etc/supervisor/conf.d/supernats.conf",
		"supernats-bridge conf --nats-url nats://nats-1:4222 --listen 127.0.0.1:9876",
	},
	"conf": {
		"supernats-bridge conf",
		"supernats-bridge conf --nats-url nats://nats-1:4222,nats://nats-2:4222 --host web1 --one-section",
		"supernats-bridge conf --container --nats-creds /etc/supernats/bridge.creds",
	},
	"spool": {
		"supernats-bridge spool",
		"supernats-bridge spool --spool-dir /var/lib/supernats/web1 --dump",
	},
	"doctor": {
		"supernats-bridge doctor",
		"supernats-bridge doctor --supervisord-conf /opt/app/supervisord.conf -o json",
	},
	"version": {
		"supernats-bridge version",
		"supernats-bridge --version",
	},
}

// helpTexts are those that are too long for the tag of a field.
var helpTexts = kong.Vars{
	"help_run": "Run as the command of an [eventlistener:x] section (the default).",
	"help_conf": "Print such sections, ready to paste, with the settings that lose nothing and the flags given here: " +
		"one for the output of programs, one for all other events.",
	"help_doctor": "Examine this machine's supervisord and its sections of the bridge: " +
		"what is wrong, where it stands, and the command that fixes it.",
	"help_supervisord_conf": "supervisord's configuration " +
		"(default: /etc/supervisord.conf or /etc/supervisor/supervisord.conf).",
	"help_output": "Output form: table, json or jsonl (default: table on a terminal, jsonl elsewhere).",
	"help_one_section": "Print one section, " +
		"in which the output of programs shares supervisord's buffer with all other events.",
	"help_stderr_logfile": "Where the bridge's log goes, as it is to stand in supervisord's configuration " +
		"(default: a file beside supervisord's own log).",
}

var (
	bridgeFlags     = &kong.Group{Key: "bridge", Title: "Flags of the bridge:"}
	connectionFlags = &kong.Group{Key: "connection", Title: "Connection flags:"}
)

// printHelp prints what a command has of its own first, and the flags of every command
// last. Those of the connection are many: commands only say where they are explained.
func printHelp(options kong.HelpOptions, k *kong.Context) error {
	command := ""
	if selected := k.Selected(); selected != nil {
		command = selected.Name
	}
	hidden := program.GroupFlags(k, connectionFlags, bridgeFlags)
	options.FlagsLast = true
	if err := kong.DefaultHelpPrinter(options, k); err != nil {
		return err
	}

	if err := program.PrintHidden(k, hidden); err != nil {
		return err
	}
	_, err := fmt.Fprintf(k.Stdout, "\nExamples:\n  %s\n", strings.Join(examples[command], "\n  "))
	return err
}
