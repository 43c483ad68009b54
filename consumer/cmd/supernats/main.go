// Supernats consumes the events that supernats-bridge publishes: the daemon that notifies
// people, and the operator's commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // images without a zone database

	"github.com/alecthomas/kong"

	"supernats/consumer/cmd/supernats/alertcmd"
	"supernats/consumer/cmd/supernats/completion"
	"supernats/consumer/cmd/supernats/eventcmd"
	"supernats/consumer/cmd/supernats/fleetcmd"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/rulecmd"
	"supernats/consumer/cmd/supernats/setupcmd"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema/program"
)

type cli struct {
	frame.Flags

	Consume   consumeCmd         `cmd:"" help:"${help_consume}"`
	Ps        fleetcmd.Ps        `cmd:"" help:"Show the state of every process in the fleet."`
	Hosts     fleetcmd.Hosts     `cmd:"" help:"Show every host, or forget one that is gone for good."`
	Tail      eventcmd.Tail      `cmd:"" help:"Print events as they happen."`
	Replay    eventcmd.Replay    `cmd:"" help:"Print events from the stream, oldest first."`
	Alerts    alertcmd.Alerts    `cmd:"" help:"Show alerts, or the whole story of one."`
	Mute      alertcmd.Mute      `cmd:"" help:"Silence alerts for a while."`
	Mutes     alertcmd.Mutes     `cmd:"" help:"Show the silences in force."`
	Unmute    alertcmd.Unmute    `cmd:"" help:"End silences."`
	Ack       alertcmd.Ack       `cmd:"" help:"Acknowledge an alert: it is not repeated meanwhile."`
	Unack     alertcmd.Unack     `cmd:"" help:"Withdraw an acknowledgement."`
	TestAlert alertcmd.TestAlert `cmd:"" help:"Send a test alert the whole way, and report who got it."`
	Doctor    setupcmd.Doctor    `cmd:"" help:"Find what is wrong with this installation, and how to fix it."`
	Rules     rulecmd.Rules      `cmd:"" help:"Try a configuration before it is used."`
	Init      setupcmd.Init      `cmd:"" help:"${help_init}"`

	Completion completionCmd `cmd:"" help:"Print shell completion for commands, flags and names."`
	Man        manCmd        `cmd:"" help:"Print the manual page, or write those of all commands."`
	Version    versionCmd    `cmd:"" help:"Print the version."`

	PrintVersion program.VersionFlag `name:"version" env:"-" help:"Print the version."`
}

func main() { os.Exit(run(os.Args[1:])) }

func commandLine() program.CommandLine {
	return program.CommandLine{
		Name:        "supernats",
		Description: "Turns the events of Supervisor into alerts, states and history.",
		Help:        printHelp,
		Vars:        helpTexts(),
	}
}

func run(args []string) int {
	var c cli
	if len(args) > 0 && args[0] == completion.Command {
		parser, err := commandLine().Parser(&c)
		if err != nil {
			return printUsage(err, nil)
		}
		return complete(parser, &c.Flags, args[1:])
	}

	k, code, err := commandLine().Read(&c, args)
	var wrong *kong.ParseError
	switch {
	case errors.As(err, &wrong):
		return printUsage(err, wrong.Context)
	case err != nil:
		return printUsage(err, nil)
	case k == nil: // --help
		return code
	}

	c.FindConfig()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	return exitCode(k.Run(&c.Flags), k)
}

// exitCode prints what went wrong with a command, and returns the code to end with.
func exitCode(err error, k *kong.Context) int {
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // `supernats replay | head`
		return program.ExitDone
	case errors.As(err, new(frame.UsageError)):
		return printUsage(err, k)
	case errors.As(err, new(frame.FileError)):
		fmt.Fprintln(os.Stderr, terminal.CleanLines(err.Error()))
		return program.ExitUsage
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted before it was done")
	}
	terminal.Say("supernats: %v", err)
	return program.ExitFailed
}

// printUsage prints what is wrong, and the command that says more about it. k is nil where
// no command line could be read.
func printUsage(err error, k *kong.Context) int {
	try, wrong := "supernats --help", frame.ConfigError{}
	switch {
	case errors.As(err, &wrong) && wrong.File != "":
		try = "supernats rules check " + wording.ShellQuote(wrong.File)
	case k != nil && k.Selected() != nil:
		try = k.Selected().FullPath() + " --help"
	}

	terminal.Say("supernats: %v", err)
	fmt.Fprintln(os.Stderr, "Try:", try) // on one line, to be copied
	return program.ExitUsage
}

type versionCmd struct{}

// Examples are shown below the help.
func (*versionCmd) Examples() []string {
	return []string{"supernats version", "supernats --version"}
}

// Run prints the version.
func (versionCmd) Run() error {
	_, err := fmt.Println("supernats", program.Version)
	return err
}
