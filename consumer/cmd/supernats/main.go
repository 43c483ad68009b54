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

	"supernats/consumer/cmd/supernats/completion"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema/program"
)

// Exit codes.
const (
	exitDone   = program.ExitDone
	exitFailed = program.ExitFailed
	exitUsage  = program.ExitUsage
)

type cli struct {
	common

	Consume   consumeCmd   `cmd:"" help:"${help_consume}"`
	Ps        psCmd        `cmd:"" help:"Show the state of every process in the fleet."`
	Hosts     hostsCmd     `cmd:"" help:"Show every host, or forget one that is gone for good."`
	Tail      tailCmd      `cmd:"" help:"Print events as they happen."`
	Replay    replayCmd    `cmd:"" help:"Print events from the stream, oldest first."`
	Alerts    alertsCmd    `cmd:"" help:"Show alerts, open ones first, and what was not delivered."`
	Mute      muteCmd      `cmd:"" help:"Silence alerts for a while."`
	Mutes     mutesCmd     `cmd:"" help:"Show the silences in force."`
	Unmute    unmuteCmd    `cmd:"" help:"End silences."`
	TestAlert testAlertCmd `cmd:"" help:"Send a test alert the whole way, and report who got it."`
	Doctor    doctorCmd    `cmd:"" help:"Find what is wrong with this installation, and how to fix it."`
	Rules     rulesCmd     `cmd:"" help:"Try a configuration before it is used."`
	Init      initCmd      `cmd:"" help:"${help_init}"`

	Completion completionCmd `cmd:"" help:"Print shell completion for commands, flags and names."`
	Version    versionCmd    `cmd:"" help:"Print the version."`

	PrintVersion kong.VersionFlag `name:"version" env:"-" help:"Print the version."`
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
		return complete(parser, &c.common, args[1:])
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

	c.findConfig()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	return exitCode(k.Run(&c.common), k)
}

// exitCode prints what went wrong with a command, and returns the code to end with.
func exitCode(err error, k *kong.Context) int {
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // `supernats replay | head`
		return exitDone
	case errors.As(err, new(usageError)):
		return printUsage(err, k)
	case errors.As(err, new(fileError)):
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	terminal.Say("supernats: %v", err)
	return exitFailed
}

// usageError is an error of the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// fileError is an error of a file that was to be checked. It is printed as it is, so that
// editors can jump to it.
type fileError struct{ error }

// configError is an error of the configuration file.
type configError struct {
	error
	file string
}

func (e configError) Unwrap() error { return e.error }

// printUsage prints what is wrong, and the command that says more about it. k is nil where
// no command line could be read.
func printUsage(err error, k *kong.Context) int {
	try, wrong := "supernats --help", configError{}
	switch {
	case errors.As(err, &wrong) && wrong.file != "":
		try = "supernats rules check " + wording.ShellQuote(wrong.file)
	case k != nil && k.Selected() != nil:
		try = k.Selected().FullPath() + " --help"
	}

	terminal.Say("supernats: %v", err)
	fmt.Fprintln(os.Stderr, "Try:", try) // on one line, to be copied
	return exitUsage
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	_, err := fmt.Println("supernats", program.Version)
	return err
}
