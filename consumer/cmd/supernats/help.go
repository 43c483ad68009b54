package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"supernats/schema"
	"supernats/schema/program"
)

// helpTexts are the texts that are too long for the tag of a flag or a command.
func helpTexts() kong.Vars {
	const when = "a duration back from now (90s, 2h, 7d) or RFC 3339"
	return kong.Vars{
		"help_config": "Configuration file, YAML (default: " + systemConfig + ", if it exists).",
		"help_output": "Output form: table, json or jsonl (default: table on a terminal, jsonl elsewhere).",

		"help_host": "Only these hosts. Repeatable, as the other filters are (default: all).",
		"help_event": "Only these events: supervisor's own names, abstract ones too (PROCESS_STATE), " +
			"or globs.",
		"help_since":          "Start at this time: " + when + " (default: all that is stored; tail: what is to come).",
		"help_until":          "End at this time; +5m is five minutes from now (default: no end).",
		"help_backtest_since": "Start at this time: " + when + " (default: all that is stored).",

		"help_consume": "Run the consumer daemon: record the state of every process, apply rules, send alerts.",
		"help_print_unit": "Print the unit for systemd or the section for supervisord that runs it " +
			"with the flags given here, and exit.",
		"help_hosts": "Show every host: last seen, troubles, clock, versions, processes, lost events.",
		"help_init": "Create the streams and buckets that are missing, as the consumer daemon does too. " +
			"Existing ones keep their limits.",
		"help_replicas": "Replicas of what is created: 3 or 5 in a cluster " +
			"(default: nats.replicas of the configuration file, or 1).",
		"help_down": "Only processes that should run and do not, or whose state is unknown " +
			"because their host is silent or its supervisord was killed.",
		"help_state": "Only processes in these states, by supervisor's names: " +
			strings.Join(schema.States(), ", ") + ". Repeatable, or with commas.",
		"help_files": "Check the files that it names too, such as those with secrets. " +
			"Give --no-files where they do not exist, as in CI.",
		"help_receiver": "Only this receiver (default: all of the configuration file, or all there are).",
	}
}

// examples are two or more of each command, below its help.
var examples = map[string][]string{
	"consume": {
		"supernats consume",
		"supernats consume -c /etc/supernats/supernats.yaml --log-level debug",
		"supernats consume --print-unit systemd > /etc/systemd/system/supernats.service",
	},
	"ps":           {"supernats ps", "supernats ps 'api*' --host 'web*'", "supernats ps --all -o json"},
	"hosts list":   {"supernats hosts", "supernats hosts 'web*' -o json"},
	"hosts forget": {"supernats hosts forget web9", "supernats hosts forget web8 web9"},
	"tail": {
		"supernats tail --event PROCESS_STATE",
		"supernats tail --host web1 --since 10m",
		"supernats tail --event TICK_5 --until +1m",
	},
	"replay": {
		"supernats replay --since 2h --event PROCESS_STATE_EXITED",
		"supernats replay --group api --since 7d -o jsonl",
	},
	"alerts": {"supernats alerts", "supernats alerts --since 1d --rule fatal", "supernats alerts -o json"},
	"mute": {
		"supernats mute --host web1 --for 2h --comment 'new disk'",
		"supernats mute --group 'api*' --until 2026-11-21T19:00:00Z --comment deploy",
		"supernats mute --all --for 30m --comment 'data centre moves'",
	},
	"mutes":  {"supernats mutes", "supernats mutes -o json"},
	"unmute": {"supernats unmute 0df8k2m3qa", "supernats unmute 0df8k2m3qa 0df8k2m3qb"},
	"test-alert": {
		"supernats test-alert",
		"supernats test-alert mail/ops@example.com --timeout 2m",
		"supernats test-alert pager --resolve",
	},
	"doctor": {"supernats doctor", "supernats doctor -c /etc/supernats/supernats.yaml -o json"},
	"rules check": {
		"supernats rules check /etc/supernats/supernats.yaml",
		"supernats rules check --no-files supernats.yaml",
	},
	"rules backtest": {
		"supernats rules backtest new.yaml --since 7d",
		"supernats rules backtest new.yaml --compare -c /etc/supernats/supernats.yaml",
	},
	"init": {"supernats init", "supernats init --replicas 3 -c /etc/supernats/supernats.yaml"},
	"completion": {
		"supernats completion bash > /etc/bash_completion.d/supernats",
		"supernats completion zsh > /usr/local/share/zsh/site-functions/_supernats",
		"supernats completion fish > ~/.config/fish/completions/supernats.fish",
	},
	"version": {"supernats version", "supernats --version"},
}

var (
	generalFlags    = &kong.Group{Key: "general", Title: "General flags:"}
	connectionFlags = &kong.Group{Key: "connection", Title: "Connection flags, of every command:"}
)

// printHelp prints what a command has of its own first, and the flags of every command
// last. Those of the connection are many: commands only say where they are.
func printHelp(options kong.HelpOptions, k *kong.Context) error {
	command := k.Selected()
	hidden := program.GroupFlags(k, connectionFlags, generalFlags)

	options.FlagsLast = true
	if err := kong.DefaultHelpPrinter(options, k); err != nil || command == nil {
		return err
	}

	if err := program.PrintHidden(k, hidden); err != nil {
		return err
	}
	return printExamples(k.Stdout, command)
}

// printExamples prints those of a command, or of the commands below it.
func printExamples(w io.Writer, command *kong.Node) error {
	title := "\nExamples:\n"
	leaves := command.Leaves(true)
	if command.Leaf() {
		leaves = []*kong.Node{command}
	}
	for _, leaf := range leaves {
		for _, e := range examples[leaf.Path()] {
			if _, err := fmt.Fprint(w, title, "  ", e, "\n"); err != nil {
				return err
			}
			title = ""
		}
	}
	return nil
}
