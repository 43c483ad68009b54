// Package frame is what every command of supernats stands on: the flags of all of them,
// how the configuration and NATS are reached, which records are chosen and in which form
// they are printed, and the errors that end the program with an exit code of their own.
//
// A command is a file in one of the rooms beside this package: a struct with its flags and
// arguments, Run, and Examples. Texts that are too long for a tag are in HelpTexts of its
// room.
package frame

import (
	"errors"
	"os"
	"syscall"

	"github.com/alecthomas/kong"

	"supernats/consumer/config"
	"supernats/consumer/terminal"
	"supernats/schema/natsconn"
)

// SystemConfig is the configuration file that is used if none is named and this one
// exists.
var SystemConfig = "/etc/supernats/supernats.yaml"

// HelpTexts are the texts that are too long for the tags of this package.
func HelpTexts() kong.Vars {
	return kong.Vars{
		"help_config": "Configuration file, YAML (default: " + SystemConfig + ", if it exists).",
		"help_output": "Output form: table, json or jsonl (default: table on a terminal, jsonl elsewhere).",
		"help_host":   "Only these hosts. Repeatable, as the other filters are (default: all).",
		"help_event": "Only these events: supervisor's own names, abstract ones too (PROCESS_STATE), " +
			"or globs.",
		"help_since": "Start at this time: " + When + " (default: all that is stored; tail: what is to come).",
		"help_until": "End at this time; +5m is five minutes from now (default: no end).",
	}
}

// Flags are those of every command.
type Flags struct {
	Config   string            `short:"c" env:"SUPERNATS_CONFIG" placeholder:"FILE" help:"${help_config}"`
	NATS     natsconn.Settings `embed:""`
	LogLevel string            `default:"info" enum:"trace,debug,info,warn,error" help:"Log level: ${enum}."`

	// found says that nobody has named the file.
	found bool
}

// Found reports whether the configuration file is the system's, which nobody has named.
func (c *Flags) Found() bool { return c.found }

// FindConfig takes the system's configuration file if none is named. A file that
// cannot be examined is taken too: the command that needs it reports why it cannot be read.
func (c *Flags) FindConfig() {
	if c.Config != "" {
		return
	}
	if _, err := os.Stat(SystemConfig); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		c.Config, c.found = SystemConfig, true
	}
}

// LoadConnection reads how NATS is reached. Other mistakes in a file that nobody has named
// keep no operator from looking: its secrets and variables may be the daemon's alone.
func (c *Flags) LoadConnection() (config.Config, error) {
	if !c.found {
		return c.Load()
	}
	cfg, err := config.LoadConnection(c.Config)
	if errors.Is(err, os.ErrPermission) {
		terminal.Say("supernats: this user may not read %s: what it says about NATS is not known", c.Config)
		cfg, err = config.Default(), nil
	}
	if err != nil {
		return cfg, c.ConfigError(err)
	}
	return c.ApplyFlags(cfg)
}

// Load reads the configuration file, if there is one, and applies the flags to it.
func (c *Flags) Load() (config.Config, error) {
	cfg := config.Default()
	if c.Config != "" {
		var err error
		if cfg, err = config.Load(c.Config); err != nil {
			return cfg, c.ConfigError(err)
		}
	}
	return c.ApplyFlags(cfg)
}

// ApplyFlags replaces settings of NATS by those that are given as flags.
func (c *Flags) ApplyFlags(cfg config.Config) (config.Config, error) {
	cfg.NATS.Settings = cfg.NATS.With(c.NATS)
	if err := cfg.NATS.Check(); err != nil {
		return cfg, UsageError{Err: err}
	}
	return cfg, nil
}

// ConfigError returns an error of the configuration file as one of the usage.
func (c *Flags) ConfigError(err error) error {
	return UsageError{Err: ConfigError{Err: err, File: c.Config}}
}
