// Supernats consumes the events that supernats-bridge publishes: the daemon that
// tells people, and the operator's commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // images without a zone database

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"
	"golang.org/x/term"

	"supernats/consumer/app"
	"supernats/schema/natsconn"
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
	common

	Consume   consumeCmd   `cmd:"" help:"The consumer daemon: records the state of every process, and tells people what the rules find."`
	Ps        psCmd        `cmd:"" help:"The state of every process in the fleet."`
	Hosts     hostsCmd     `cmd:"" help:"Every host, or forget one that is gone for good."`
	Tail      tailCmd      `cmd:"" help:"Events as they happen."`
	Replay    replayCmd    `cmd:"" help:"Events from the stream, oldest first."`
	Alerts    alertsCmd    `cmd:"" help:"Alerts, open ones first, and what could not be delivered."`
	Mute      muteCmd      `cmd:"" help:"Tell nobody of some alerts for a while."`
	Mutes     mutesCmd     `cmd:"" help:"The silences in force."`
	Unmute    unmuteCmd    `cmd:"" help:"End silences."`
	TestAlert testAlertCmd `cmd:"" help:"Send a test alert the whole way."`
	Doctor    doctorCmd    `cmd:"" help:"What is wrong with this installation, and what to do."`
	Rules     rulesCmd     `cmd:"" help:"Try a configuration before it is used."`
	Version   versionCmd   `cmd:"" help:"Print the version."`

	PrintVersion kong.VersionFlag `name:"version" env:"-" help:"Print the version."`
}

// common are the flags of every command.
type common struct {
	Config   string            `short:"c" env:"SUPERNATS_CONFIG" placeholder:"FILE" help:"Configuration file (YAML)."`
	NATS     natsconn.Settings `embed:""`
	LogLevel string            `default:"info" enum:"trace,debug,info,warn,error" help:"Log level: ${enum}."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("supernats"),
		kong.Description("Turns the events of Supervisor into alerts, states and history."),
		kong.DefaultEnvars("SUPERNATS"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": "supernats " + version},
		kong.Exit(func(code int) { exited = code }))
	if err != nil {
		return usage(err)
	}
	k, err := parser.Parse(args)
	switch {
	case exited >= 0: // --help
		return exited
	case err != nil:
		return usage(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	switch err := k.Run(&c.common); {
	case err == nil, errors.Is(err, syscall.EPIPE): // `supernats replay | head`
		return exitDone
	case errors.As(err, new(usageError)):
		return usage(err)
	case errors.As(err, new(fileError)):
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	default:
		fmt.Fprintln(os.Stderr, "supernats:", err)
		return exitFailed
	}
}

// usageError is an error of the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// fileError is an error of a file that was to be checked. It is printed as it is,
// so that editors jump to it.
type fileError struct{ error }

func usage(err error) int {
	fmt.Fprintf(os.Stderr, "supernats: %v\nTry: supernats --help\n", err)
	return exitUsage
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	_, err := fmt.Println("supernats", version)
	return err
}

// load reads the configuration file, if there is one, and lays the flags over it.
func (c *common) load() (app.Config, error) {
	cfg := app.Default()
	if c.Config != "" {
		var err error
		if cfg, err = app.Load(c.Config); err != nil {
			return cfg, usageError{err}
		}
	}
	cfg.NATS.Settings = cfg.NATS.With(c.NATS)
	if err := cfg.NATS.Check(); err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

func (c *common) log() zerolog.Logger {
	l, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil {
		l = zerolog.InfoLevel
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: time.TimeOnly}).Level(l).With().Timestamp().Logger()
	}
	return zerolog.New(os.Stderr).Level(l).With().Timestamp().Logger()
}
