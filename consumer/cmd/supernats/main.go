// Supernats consumes the events that supernats-bridge publishes: the daemon that
// tells people, and the operator's commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // images without a zone database

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/schema"
	"supernats/schema/natsconn"
	"supernats/schema/program"
)

// systemConfig is the configuration file that is read if none is named and it is there.
var systemConfig = "/etc/supernats/supernats.yaml"

// Exit codes.
const (
	exitDone   = program.ExitDone
	exitFailed = program.ExitFailed
	exitUsage  = program.ExitUsage
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
	Init      initCmd      `cmd:"" help:"Create the streams and buckets that are missing; the consumer daemon does so too. What is there keeps its limits."`

	Completion completionCmd `cmd:"" help:"Print the completion of commands, flags and names for a shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`

	PrintVersion kong.VersionFlag `name:"version" env:"-" help:"Print the version."`
}

// common are the flags of every command.
type common struct {
	Config   string            `short:"c" env:"SUPERNATS_CONFIG" placeholder:"FILE" help:"Configuration file (YAML); default: ${config} if it is there."`
	NATS     natsconn.Settings `embed:""`
	LogLevel string            `default:"info" enum:"trace,debug,info,warn,error" help:"Log level: ${enum}."`

	// found says that nobody has named the file.
	found bool
}

func main() { os.Exit(run(os.Args[1:])) }

func newParser(c *cli, exit func(code int)) (*kong.Kong, error) {
	return program.CommandLine{
		Name:        "supernats",
		Description: "Turns the events of Supervisor into alerts, states and history.",
		Help:        printHelp,
		Vars:        kong.Vars{"config": systemConfig, "states": strings.Join(schema.States(), ", ")},
		Exit:        exit,
	}.Parser(c)
}

func run(args []string) int {
	var c cli
	exited := -1
	parser, err := newParser(&c, func(code int) { exited = code })
	if err != nil {
		return usage(err, nil)
	}
	if isCompletion(args) {
		return (&completer{parser: parser, common: &c.common}).answer(args)
	}
	k, err := parser.Parse(program.HelpArgs(args))
	switch {
	case exited >= 0: // --help
		return exited
	case err != nil:
		var wrong *kong.ParseError
		if errors.As(err, &wrong) {
			return usage(err, wrong.Context)
		}
		return usage(err, nil)
	}
	c.findConfig()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	switch err := k.Run(&c.common); {
	case err == nil, errors.Is(err, syscall.EPIPE): // `supernats replay | head`
		return exitDone
	case errors.As(err, new(usageError)):
		return usage(err, k)
	case errors.As(err, new(fileError)):
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	default:
		say("supernats: %v", err)
		return exitFailed
	}
}

// usageError is an error of the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// fileError is an error of a file that was to be checked. It is printed as it is,
// so that editors jump to it.
type fileError struct{ error }

// configError is an error of the configuration file.
type configError struct {
	error
	file string
}

func (e configError) Unwrap() error { return e.error }

// usage prints what is wrong, and the command that says more about it. k is nil where no
// command line could be read.
func usage(err error, k *kong.Context) int {
	try, wrong := "supernats --help", configError{}
	switch {
	case errors.As(err, &wrong) && wrong.file != "":
		try = "supernats rules check " + quote(wrong.file)
	case k != nil && k.Selected() != nil:
		try = k.Selected().FullPath() + " --help"
	}
	say("supernats: %v", err)
	fmt.Fprintln(os.Stderr, "Try:", try) // whole, for it is there to be copied
	return exitUsage
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	_, err := fmt.Println("supernats", program.Version)
	return err
}

// findConfig takes the system's configuration file if none is named. One that cannot
// be looked at is taken too: whoever needs it says why it cannot be read.
func (c *common) findConfig() {
	if c.Config != "" {
		return
	}
	if _, err := os.Stat(systemConfig); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		c.Config, c.found = systemConfig, true
	}
}

// connection reads how NATS is reached. What else is wrong with a file that nobody has
// named keeps no operator from looking: its secrets and variables may be the daemon's
// alone.
func (c *common) connection() (config.Config, error) {
	if !c.found {
		return c.load()
	}
	cfg, err := config.LoadConnection(c.Config)
	if errors.Is(err, os.ErrPermission) {
		say("supernats: this user may not read %s: what it says about NATS is not known", c.Config)
		cfg, err = config.Default(), nil
	}
	if err != nil {
		return cfg, usageError{configError{err, c.Config}}
	}
	return c.over(cfg)
}

// load reads the configuration file, if there is one, and lays the flags over it.
func (c *common) load() (config.Config, error) {
	cfg := config.Default()
	if c.Config != "" {
		var err error
		if cfg, err = config.Load(c.Config); err != nil {
			return cfg, usageError{configError{err, c.Config}}
		}
	}
	return c.over(cfg)
}

// over lays the flags over a configuration.
func (c *common) over(cfg config.Config) (config.Config, error) {
	cfg.NATS.Settings = cfg.NATS.With(c.NATS)
	if err := cfg.NATS.Check(); err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

func (c *common) log() zerolog.Logger { return program.NewLog(c.LogLevel) }
