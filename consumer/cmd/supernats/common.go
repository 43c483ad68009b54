package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/config"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema/natsconn"
)

// systemConfig is the configuration file that is used if none is named and this one
// exists.
var systemConfig = "/etc/supernats/supernats.yaml"

// common are the flags of every command.
type common struct {
	Config   string            `short:"c" env:"SUPERNATS_CONFIG" placeholder:"FILE" help:"${help_config}"`
	NATS     natsconn.Settings `embed:""`
	LogLevel string            `default:"info" enum:"trace,debug,info,warn,error" help:"Log level: ${enum}."`

	// found says that nobody has named the file.
	found bool
}

// outputFlag is the flag of every command that prints records.
type outputFlag struct {
	Output string `short:"o" enum:"table,json,jsonl,auto" default:"auto" env:"SUPERNATS_OUTPUT" help:"${help_output}"`
}

// form is the form of what goes to stdout.
func (o *outputFlag) form() string { return terminal.FormFor(os.Stdout, o.Output) }

// findConfig takes the system's configuration file if none is named. A file that
// cannot be examined is taken too: the command that needs it reports why it cannot be read.
func (c *common) findConfig() {
	if c.Config != "" {
		return
	}
	if _, err := os.Stat(systemConfig); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		c.Config, c.found = systemConfig, true
	}
}

// loadConnection reads how NATS is reached. Other mistakes in a file that nobody has named
// keep no operator from looking: its secrets and variables may be the daemon's alone.
func (c *common) loadConnection() (config.Config, error) {
	if !c.found {
		return c.load()
	}
	cfg, err := config.LoadConnection(c.Config)
	if errors.Is(err, os.ErrPermission) {
		terminal.Say("supernats: this user may not read %s: what it says about NATS is not known", c.Config)
		cfg, err = config.Default(), nil
	}
	if err != nil {
		return cfg, usageError{configError{err, c.Config}}
	}
	return c.applyFlags(cfg)
}

// load reads the configuration file, if there is one, and applies the flags to it.
func (c *common) load() (config.Config, error) {
	cfg := config.Default()
	if c.Config != "" {
		var err error
		if cfg, err = config.Load(c.Config); err != nil {
			return cfg, usageError{configError{err, c.Config}}
		}
	}
	return c.applyFlags(cfg)
}

// applyFlags replaces settings of NATS by those that are given as flags.
func (c *common) applyFlags(cfg config.Config) (config.Config, error) {
	cfg.NATS.Settings = cfg.NATS.With(c.NATS)
	if err := cfg.NATS.Check(); err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

// withReader connects to the NATS server of the installation and calls do. A right that
// the server denies ends do at once.
func (c *common) withReader(ctx context.Context, do func(ctx context.Context, r *inspect.Reader) error) error {
	cfg, err := c.loadConnection()
	if err != nil {
		return err
	}
	var g inspect.Guard
	r, closeConn, err := dial(cfg, &g)
	if err != nil {
		return err
	}
	defer closeConn()

	return g.Run(ctx, func(ctx context.Context) error { return do(ctx, r) })
}

// jetStreamTimeout is how long a request to JetStream may take.
const jetStreamTimeout = 10 * time.Second

// dial connects to the NATS server of a configuration.
func dial(cfg config.Config, g *inspect.Guard) (r *inspect.Reader, closeConn func(), err error) {
	settings := cfg.Client()
	nc, err := settings.Connect("supernats",
		nats.RetryOnFailedConnect(false), nats.IgnoreAuthErrorAbort(), nats.ErrorHandler(g.HandleError))
	if err != nil {
		return nil, nil, fmt.Errorf("%w (is `supernats consume` or a nats-server running? --nats-url says where)", err)
	}

	js, err := settings.JetStream(nc, jetstream.WithDefaultTimeout(jetStreamTimeout))
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return newReader(js), nc.Close, nil
}

// newReader returns a reader that prints its warnings on stderr.
func newReader(js jetstream.JetStream) *inspect.Reader {
	return &inspect.Reader{JS: js, Warn: func(text string) { terminal.Say("supernats: %s", text) }}
}
