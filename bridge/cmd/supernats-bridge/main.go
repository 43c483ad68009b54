// Supernats-bridge runs under supervisord as an eventlistener and publishes
// every event to NATS JetStream.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	build "github.com/prometheus/common/version"
	"github.com/rs/zerolog"
	"golang.org/x/term"

	"supernats/bridge"
	"supernats/bridge/eventlistener"
)

// version is set by the linker.
var version = "dev"

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

type cli struct {
	bridge.Config `embed:""`

	Run     struct{} `cmd:"" default:"1" hidden:"" help:"Run as the command of an [eventlistener:x] section (the default)."`
	Conf    confCmd  `cmd:"" help:"Print such sections, ready to paste, with the settings that lose nothing and the flags given here: one for the output of programs, one for all other events."`
	Spool   spoolCmd `cmd:"" help:"Show what the spool holds; a bridge may be running on it."`
	Version struct{} `cmd:"" help:"Print the version."`

	PrintVersion kong.VersionFlag `name:"version" env:"-" help:"Print the version."`
}

func main() { os.Exit(run(os.Args[1:])) }

func newParser(c *cli, exit func(code int)) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("supernats-bridge"),
		kong.Description("Publishes every event of a supervisord to NATS JetStream. It is the command of an [eventlistener:x] section: see `supernats-bridge conf`."),
		kong.DefaultEnvars("SUPERNATS"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Help(printHelp),
		kong.ValueFormatter(describe),
		kong.Vars{"version": "supernats-bridge " + version},
		kong.Exit(exit))
}

func run(args []string) int {
	var c cli
	exited := -1
	parser, err := newParser(&c, func(code int) { exited = code })
	if err != nil {
		return usage(err)
	}
	if len(args) > 0 && args[0] == "help" { // as git and go have it
		args = append(args[1:], "--help")
	}
	k, err := parser.Parse(args)
	switch {
	case exited >= 0: // --help
		return exited
	case err != nil:
		return usage(err)
	}
	switch k.Command() {
	case "conf":
		return c.Conf.print(k.Model, args)
	case "spool":
		if err := c.Spool.show(os.Stdout, c.Config); err != nil {
			fmt.Fprintln(os.Stderr, "supernats-bridge:", err)
			return exitFailed
		}
		return exitDone
	case "version":
		fmt.Println("supernats-bridge", version)
		return exitDone
	}
	return listen(c.Config)
}

// listen runs the bridge itself.
func listen(cfg bridge.Config) int {
	// supervisord says SUPERVISOR_ENABLED=1, and so does the Go port; a wrapper
	// (sudo, env -i) may have taken it away.
	named := os.Getenv("SUPERVISOR_ENABLED") != ""
	if kind := stdinKind(); kind == other || kind == file && !named {
		// A wrong setting is told first, to one who tries it out at a terminal.
		if _, err := bridge.New(cfg, [8]byte{}, version, zerolog.Nop()); err != nil {
			return usage(err)
		}
		return usage(errOutside)
	}
	in, out, err := eventlistener.TakeStdio()
	if err != nil {
		return failed(newLog(cfg.LogLevel), err)
	}
	defer func() { _, _ = in.Close(), out.Close() }()
	log := newLog(cfg.LogLevel)
	slog.SetDefault(slog.New(zerolog.NewSlogHandler(log))) // what libraries say by the package log
	build.Version = version                                // for build_info
	b, err := bridge.New(cfg, [8]byte{}, version, log)
	if err != nil {
		return usage(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err = b.Run(ctx, in, out)
	if err != nil && !named && !b.Heard() {
		return usage(errors.Join(errOutside, err))
	}
	if err != nil {
		return failed(log, bridge.Describe(err))
	}
	return exitDone
}

var errOutside = errors.New("supernats-bridge is started by supervisord, which talks to it over pipes: `supernats-bridge conf` prints the section for supervisord.conf")

// What standard input may be: supervisord's is a pipe. A file is good for a look at
// what was recorded; a terminal or /dev/null (which the Go runtime puts in the place
// of a descriptor that is closed) talks to nobody.
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

func newLog(level string) zerolog.Logger {
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		l = zerolog.InfoLevel
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: time.TimeOnly}).Level(l).With().Timestamp().Logger()
	}
	return zerolog.New(os.Stderr).Level(l).With().Timestamp().Logger()
}

func failed(log zerolog.Logger, err error) int {
	log.Error().Err(err).Msg("supernats-bridge ends")
	time.Sleep(bridge.ExitDelay)
	return exitFailed
}

func usage(err error) int {
	fmt.Fprintf(os.Stderr, "supernats-bridge: %v\nTry: supernats-bridge --help\n", err)
	if os.Getenv("SUPERVISOR_ENABLED") != "" {
		time.Sleep(bridge.ExitDelay)
	}
	return exitUsage
}
