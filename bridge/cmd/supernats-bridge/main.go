// Supernats-bridge runs under supervisord as an eventlistener and publishes
// every event to NATS JetStream.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	build "github.com/prometheus/common/version"
	"github.com/rs/zerolog"

	"supernats/bridge"
	"supernats/bridge/eventlistener"
	"supernats/schema/program"
)

const name = "supernats-bridge"

type cli struct {
	bridge.Config `embed:""`

	Run     struct{}  `cmd:"" default:"1" hidden:"" help:"${help_run}"`
	Conf    confCmd   `cmd:"" help:"${help_conf}"`
	Spool   spoolCmd  `cmd:"" help:"Show what the spool holds; a bridge may be running on it."`
	Doctor  doctorCmd `cmd:"" help:"${help_doctor}"`
	Man     manCmd    `cmd:"" help:"Print the manual page, or write those of all commands."`
	Version struct{}  `cmd:"" help:"Print the version."`

	PrintVersion program.VersionFlag `name:"version" env:"-" help:"Print the version."`
}

func main() { os.Exit(run(os.Args[1:])) }

func commandLine() program.CommandLine {
	return program.CommandLine{
		Name: name,
		Description: "Publishes every event of a supervisord to NATS JetStream. " +
			"It is the command of an [eventlistener:x] section: see `supernats-bridge conf`.",
		Help: printHelp,
		Vars: helpTexts.CloneWith(bridge.FlagHelp),
	}
}

func run(args []string) int {
	var c cli
	k, code, err := commandLine().Read(&c, args)
	switch {
	case err != nil:
		return usage(err)
	case k == nil: // --help
		return code
	}

	switch k.Command() {
	case "conf":
		// The files that it names may be on another machine.
		if err := c.Config.CheckValues(); err != nil {
			return usage(err)
		}
		return c.Conf.print(k.Model, args)
	case "spool":
		if err := c.Spool.show(os.Stdout, c.Config); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			return program.ExitFailed
		}
		return program.ExitDone
	case "man":
		if err := program.WriteManual(manual(k.Model), c.Man.Dir); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			return program.ExitFailed
		}
		return program.ExitDone
	case "doctor":
		return examine(c.Doctor)
	case "version":
		fmt.Println(name, program.Version)
		return program.ExitDone
	}
	return listen(c.Config)
}

// listen runs the bridge itself.
func listen(cfg bridge.Config) int {
	// supervisord says SUPERVISOR_ENABLED=1, and so does the Go port; a wrapper
	// (sudo, env -i) may have taken it away.
	named := os.Getenv("SUPERVISOR_ENABLED") != ""
	if kind := stdinKind(); kind == other || kind == file && !named {
		// Somebody tries it at a terminal: a wrong setting is reported first.
		if _, err := bridge.New(cfg, [8]byte{}, program.Version, zerolog.Nop()); err != nil {
			return usage(err)
		}
		return usage(errOutside)
	}

	// Everything that prints must come after this: standard output is the protocol.
	in, out, err := eventlistener.TakeStdio()
	log := program.NewLog(cfg.LogLevel)
	if err != nil {
		return failed(log, err)
	}
	defer func() { _, _ = in.Close(), out.Close() }()
	program.LogLibraries(log)
	build.Version = program.Version // for build_info

	b, err := bridge.New(cfg, [8]byte{}, program.Version, log)
	if err != nil {
		return usage(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err = b.Run(ctx, in, out)

	switch {
	case err == nil:
		return program.ExitDone
	case !named && !b.Heard():
		return usage(errors.Join(errOutside, err))
	}
	return failed(log, bridge.Describe(err))
}

var errOutside = errors.New("supernats-bridge is started by supervisord, which talks to it over pipes: " +
	"`supernats-bridge conf` prints the section for supervisord.conf")

// Kinds of standard input. That of supervisord is a pipe; a file replays what was
// recorded. Nobody talks over a terminal or /dev/null, which the Go runtime opens in the
// place of a descriptor that is closed.
const (
	pipe = iota
	file
	other
)

func stdinKind() int {
	info, err := os.Stdin.Stat()
	switch {
	case err != nil:
		return other
	case info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0:
		return pipe
	case info.Mode().IsRegular():
		return file
	}
	return other
}

// failed reports an error that a restart may cure, and waits so that supervisord's
// restarts do not spin.
func failed(log zerolog.Logger, err error) int {
	log.Error().Err(err).Msg("supernats-bridge ends")
	time.Sleep(bridge.ExitDelay)
	return program.ExitFailed
}

// usage reports a wrong command line, or a wrong setting.
func usage(err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\nTry: %[1]s --help\n", name, err)
	if os.Getenv("SUPERVISOR_ENABLED") != "" {
		time.Sleep(bridge.ExitDelay)
	}
	return program.ExitUsage
}
