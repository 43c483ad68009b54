package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
)

// Config is the configuration file of `supernats`. The loader knows structs,
// pointers, slices, maps of texts, texts, whole numbers, booleans and whatever
// implements encoding.TextUnmarshaler.
type Config struct {
	NATS     NATS     `yaml:"nats"`
	Embedded Embedded `yaml:"embedded"`
	DataDir  string   `yaml:"data_dir"`

	// Listen is the address of /healthz, /readyz and /-/reload; empty: none.
	Listen string `yaml:"listen"`
	// WebConfig names a file with TLS and basic authentication of that address,
	// in the form of Prometheus's web configuration file.
	WebConfig string `yaml:"web_config"`

	// Mail is the receiver "mail", and the defaults of every other mail receiver.
	Mail      *Mail      `yaml:"mail"`
	Receivers []Receiver `yaml:"receivers"`

	// Groups are globs of the groups that reach the rules; empty: all.
	Groups []string `yaml:"groups"`
	// Rules are nil if the file has none, which means rules.Defaults. An empty
	// list means no rules.
	Rules []rules.Config `yaml:"rules"`

	// These hold for every rule that has none of its own.
	GroupWait      schema.Duration `yaml:"group_wait"`
	GroupInterval  schema.Duration `yaml:"group_interval"`
	RepeatInterval schema.Duration `yaml:"repeat_interval"`
	ResolveAfter   schema.Duration `yaml:"resolve_after"`
	SendResolved   bool            `yaml:"send_resolved"`

	// Limits bound what hosts can make the daemon hold.
	Limits Limits `yaml:"limits"`

	// MaxAge is how old an event may be to be told to people.
	MaxAge schema.Duration `yaml:"max_age"`
	// ForgetAfter is how long a host must have been silent until it is forgotten, and how
	// long a process must have been out of its supervisord's configuration; 0: never.
	ForgetAfter schema.Duration `yaml:"forget_after"`
	// MuteRestarts is how long at most a host is silenced that restarts or stops,
	// until it is running again; 0: not at all.
	MuteRestarts schema.Duration `yaml:"mute_restarts"`
}

// NATS says which server to use. Without url and context, a server is embedded.
type NATS struct {
	natsconn.Settings `yaml:",inline"`
	// Replicas of the streams and buckets that are missing and get created.
	Replicas int `yaml:"replicas"`
	// Streams are how much each of them may take at most; what is not written has a
	// default that fits what the account may store.
	Streams stream.Sizes `yaml:"streams"`
}

// Embedded are the settings of the server in `supernats consume`.
type Embedded struct {
	Listen string `yaml:"listen"`
	// MaxStore bounds the stream of events; alerts and states take up to a
	// quarter of it more.
	MaxStore schema.Size `yaml:"max_store"`
	// Config is a file in nats-server's own form: users, TLS, limits. What it does not
	// say is as it is without it.
	Config string `yaml:"config"`
	// Account is the one of several in that file that has the streams.
	Account string `yaml:"account"`
	// Insecure lets a server without users listen where others reach it.
	Insecure bool `yaml:"insecure"`
}

// Default returns the settings of an installation without a file.
func Default() Config {
	return Config{
		NATS:           NATS{Replicas: 1},
		Embedded:       Embedded{Listen: "127.0.0.1:4222", MaxStore: 4 << 30},
		Listen:         "127.0.0.1:8000",
		GroupInterval:  schema.Duration(5 * time.Minute),
		RepeatInterval: schema.Duration(4 * time.Hour),
		ResolveAfter:   schema.Duration(30 * time.Second),
		SendResolved:   true,
		MaxAge:         schema.Duration(24 * time.Hour),
		Limits:         defaultLimits(),
		ForgetAfter:    schema.Duration(30 * 24 * time.Hour),
	}
}

// Summary says how much is configured: "6 rules, 1 receiver".
func (c *Config) Summary() string {
	n := len(c.Rules)
	if c.Rules == nil {
		n = len(rules.Defaults())
	}
	return count(n, "rule") + ", " + count(len(c.AllReceivers()), "receiver")
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// systemDataDir is used if it can be, and a directory of the user's if not.
const systemDataDir = "/var/lib/supernats"

// FindDataDir fills in DataDir if the configuration has none.
func (c *Config) FindDataDir() error {
	if c.DataDir != "" {
		return nil
	}
	if err := os.MkdirAll(systemDataDir, 0o750); err == nil {
		if probe, err := os.MkdirTemp(systemDataDir, ".probe"); err == nil {
			_ = os.Remove(probe)
			c.DataDir = systemDataDir
			return nil
		}
	}
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return fmt.Errorf("%s is not writable and there is no home directory (%w): set data_dir", systemDataDir, err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	c.DataDir = filepath.Join(state, "supernats")
	return nil
}

// embeds reports whether the daemon runs a NATS server itself.
func (c *Config) embeds() bool { return c.NATS.URL == "" && c.NATS.Context == "" }

// Client returns how other programs reach the server that this configuration
// means.
func (c *Config) Client() natsconn.Settings {
	s := c.NATS.Settings
	if c.embeds() {
		s.URL = c.Embedded.address()
	}
	return s
}

// StreamLimits are those of the streams and buckets that are created.
func (c *Config) StreamLimits() stream.Limits {
	l := stream.DefaultLimits()
	l.Replicas, l.Sizes = c.NATS.Replicas, c.NATS.Streams
	if c.embeds() {
		l.EventBytes = int64(c.Embedded.MaxStore)
	}
	return l
}
