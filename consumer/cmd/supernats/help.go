package main

import (
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"supernats/consumer/cmd/supernats/alertcmd"
	"supernats/consumer/cmd/supernats/eventcmd"
	"supernats/consumer/cmd/supernats/fleetcmd"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/rulecmd"
	"supernats/consumer/cmd/supernats/setupcmd"
	"supernats/schema/program"
)

// helpTexts are the texts that are too long for the tag of a flag or a command.
func helpTexts() kong.Vars {
	texts := kong.Vars{
		"help_consume": "Run the consumer daemon: record the state of every process, apply rules, send alerts.",
		"help_print_unit": "Print the unit for systemd or the section for supervisord that runs it " +
			"with the flags given here, and exit.",
	}
	for _, room := range []kong.Vars{
		frame.HelpTexts(), eventcmd.HelpTexts(), fleetcmd.HelpTexts(), alertcmd.HelpTexts(), rulecmd.HelpTexts(),
		setupcmd.HelpTexts(),
	} {
		texts = texts.CloneWith(room)
	}
	return texts
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
		for _, e := range examplesOf(leaf) {
			if _, err := fmt.Fprint(w, title, "  ", e, "\n"); err != nil {
				return err
			}
			title = ""
		}
	}
	return nil
}

// examplesOf are those that a command has of itself.
func examplesOf(leaf *kong.Node) []string {
	command, ok := leaf.Target.Addr().Interface().(interface{ Examples() []string })
	if !ok {
		return nil
	}
	return command.Examples()
}
