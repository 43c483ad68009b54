package main

import (
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"supernats/schema/program"
)

// examples are two or more of each command, below its help.
var examples = map[string][]string{
	"consume":        {"supernats consume", "supernats consume -c /etc/supernats/supernats.yaml --log-level debug", "supernats consume --print-unit systemd > /etc/systemd/system/supernats.service"},
	"ps":             {"supernats ps", "supernats ps 'api*' --host 'web*'", "supernats ps --all -o json"},
	"hosts list":     {"supernats hosts", "supernats hosts 'web*' -o json"},
	"hosts forget":   {"supernats hosts forget web9", "supernats hosts forget web8 web9"},
	"tail":           {"supernats tail --event PROCESS_STATE", "supernats tail --host web1 --since 10m", "supernats tail --event TICK_5 --until +1m"},
	"replay":         {"supernats replay --since 2h --event PROCESS_STATE_EXITED", "supernats replay --group api --since 7d -o jsonl"},
	"alerts":         {"supernats alerts", "supernats alerts --since 1d --rule fatal", "supernats alerts -o json"},
	"mute":           {"supernats mute --host web1 --for 2h --comment 'new disk'", "supernats mute --group 'api*' --until 2026-11-21T19:00:00Z --comment deploy", "supernats mute --all --for 30m --comment 'data centre moves'"},
	"mutes":          {"supernats mutes", "supernats mutes -o json"},
	"unmute":         {"supernats unmute 0df8k2m3qa", "supernats unmute 0df8k2m3qa 0df8k2m3qb"},
	"test-alert":     {"supernats test-alert", "supernats test-alert mail/ops@example.com --timeout 2m", "supernats test-alert pager --resolve"},
	"doctor":         {"supernats doctor", "supernats doctor -c /etc/supernats/supernats.yaml -o json"},
	"rules check":    {"supernats rules check /etc/supernats/supernats.yaml", "supernats rules check --no-files supernats.yaml"},
	"rules backtest": {"supernats rules backtest new.yaml --since 7d", "supernats rules backtest new.yaml --compare -c /etc/supernats/supernats.yaml"},
	"init":           {"supernats init", "supernats init --replicas 3 -c /etc/supernats/supernats.yaml"},
	"completion":     {"supernats completion bash > /etc/bash_completion.d/supernats", "supernats completion zsh > /usr/local/share/zsh/site-functions/_supernats", "supernats completion fish > ~/.config/fish/completions/supernats.fish"},
	"version":        {"supernats version", "supernats --version"},
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
