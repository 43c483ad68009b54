// Package config makes a valid configuration of a file: Load reports every mistake at its
// place, and Config.Plan returns a value that nobody checks again, with its rules compiled.
//
// It knows the settings of every part, and each part checks its own section: a new kind of
// receiver is a line in Kinds and a case in Receiver.New. The YAML is decoded by strict/.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"supernats/consumer/embedded"
	"supernats/consumer/rules"
	"supernats/consumer/watchdog"
	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
)

// Config is the configuration file of `supernats`, as it is written, over the defaults.
// The types that may be in it are those of the package strict.
type Config struct {
	NATS     NATS            `yaml:"nats"`
	Embedded embedded.Config `yaml:"embedded"`
	DataDir  string          `yaml:"data_dir"`

	// Listen is the address of the page, /metrics, /api/v1, /healthz, /readyz and /-/reload;
	// empty: none.
	Listen string `yaml:"listen"`
	// WebConfig names a file with TLS and basic authentication of that address,
	// in the form of Prometheus's web configuration file.
	WebConfig string `yaml:"web_config"`
	// ExternalURL is where people reach the page, for the links in notifications; RoutePrefix
	// comes before all paths, by default the path of ExternalURL.
	ExternalURL string        `yaml:"external_url"`
	RoutePrefix string        `yaml:"route_prefix"`
	Web         site.Settings `yaml:"web"`
	// Compat names other exporters whose metrics are exported beside ours.
	Compat []string `yaml:"compat"`

	// Watchdog are the addresses that are pinged for as long as people are notified.
	Watchdog []watchdog.Settings `yaml:"watchdog"`

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

	// MaxAge is the age up to which an event is reported to people.
	MaxAge schema.Duration `yaml:"max_age"`
	// ForgetAfter is how long a host must have been silent until it is forgotten, and how
	// long a process must have been out of its supervisord's configuration; 0: never.
	ForgetAfter schema.Duration `yaml:"forget_after"`
	// MuteRestarts is how long at most a host is silenced that restarts or stops,
	// until it is running again; 0: not at all.
	MuteRestarts schema.Duration `yaml:"mute_restarts"`
}

// NATS is the section that names the server. Without url and context, a server is embedded.
type NATS struct {
	natsconn.Settings `yaml:",inline"`
	// Replicas of the streams and buckets that are missing and get created.
	Replicas int `yaml:"replicas"`
	// Streams are how much each of them may take at most; what is not written has a
	// default that fits what the account may store.
	Streams stream.Sizes `yaml:"streams"`
}

// Default returns the settings of an installation without a file.
func Default() Config {
	return Config{
		NATS:           NATS{Replicas: 1},
		Embedded:       embedded.Config{Listen: "127.0.0.1:4222", MaxStore: 4 << 30},
		Listen:         "127.0.0.1:8000",
		Compat:         []string{},
		Web:            site.Settings{Allow: []string{}, MaxStreams: site.DefaultMaxStreams},
		GroupInterval:  schema.Duration(5 * time.Minute),
		RepeatInterval: schema.Duration(4 * time.Hour),
		ResolveAfter:   schema.Duration(30 * time.Second),
		SendResolved:   true,
		MaxAge:         schema.Duration(24 * time.Hour),
		Limits:         defaultLimits(),
		ForgetAfter:    schema.Duration(30 * 24 * time.Hour),
	}
}

// Summary returns how much is configured: "6 rules, 1 receiver".
func (c *Config) Summary() string {
	return count(len(c.rulesInForce()), "rule") + ", " + count(len(c.AllReceivers()), "receiver")
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// rulesInForce are those of the file, or the default ones.
func (c *Config) rulesInForce() []rules.Config {
	if c.Rules == nil {
		return rules.Defaults()
	}
	return c.Rules
}

// RuleNames returns the names of the rules that are in force.
func (c *Config) RuleNames() []string {
	list := c.rulesInForce()
	names := make([]string, len(list))
	for i, r := range list {
		names[i] = r.Name
	}
	return names
}

// Escalations returns the rules that escalate to each receiver, by its name.
func (c *Config) Escalations() map[string][]string {
	rulesOf := map[string][]string{}
	for _, r := range c.rulesInForce() {
		for _, step := range r.Escalate {
			for _, receiver := range step.Notify {
				if !slices.Contains(rulesOf[receiver], r.Name) {
					rulesOf[receiver] = append(rulesOf[receiver], r.Name)
				}
			}
		}
	}
	return rulesOf
}

// systemDataDir is used if it can be, and a directory of the user's if not.
const systemDataDir = "/var/lib/supernats"

// FindDataDir fills in DataDir if the configuration has none.
func (c *Config) FindDataDir() error {
	if c.DataDir != "" {
		return nil
	}
	if isWritable(systemDataDir) {
		c.DataDir = systemDataDir
		return nil
	}

	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return fmt.Errorf("%s is not writable and there is no home directory (%w): set data_dir",
				systemDataDir, err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	c.DataDir = filepath.Join(state, "supernats")
	return nil
}

// isWritable reports whether a directory is there or can be created, and takes a file.
func isWritable(dir string) bool {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return false
	}
	probe, err := os.MkdirTemp(dir, ".probe")
	if err != nil {
		return false
	}
	_ = os.Remove(probe)
	return true
}

// Embeds reports whether the daemon runs a NATS server itself.
func (c *Config) Embeds() bool { return c.NATS.URL == "" && c.NATS.Context == "" }

// Server returns the settings of the embedded server.
func (c *Config) Server() embedded.Settings {
	limits := c.StreamLimits()
	return embedded.Settings{
		Section: c.Embedded, DataDir: c.DataDir, Login: c.NATS.Settings, StreamBytes: limits.Total(),
	}
}

// Client returns how other programs reach the server that this configuration
// means.
func (c *Config) Client() natsconn.Settings {
	s := c.NATS.Settings
	if c.Embeds() {
		s.URL = c.Embedded.Address()
	}
	return s
}

// StreamLimits are those of the streams and buckets that are created.
func (c *Config) StreamLimits() stream.Limits {
	l := stream.DefaultLimits()
	l.Replicas = c.NATS.Replicas
	l.Sizes = c.NATS.Streams
	if c.Embeds() {
		l.EventBytes = int64(c.Embedded.MaxStore)
	}
	return l
}

// Warnings are what is not as it was written, but works: "what; how to fix it".
func (c *Config) Warnings() (list []string) {
	switch {
	case c.Embeds():
		list = c.Server().Warnings()
	case c.Embedded.Config != "":
		list = []string{"embedded.config is not used, since no server is embedded; " +
			"remove it, or nats.url and nats.context"}
	}
	if text, fix := c.OpenPage(); text != "" {
		list = append(list, text+"; "+fix)
	}
	return list
}

// NeedsRestart names the first section that differs from an earlier configuration and is
// read at the start only; empty: a reload is enough.
func (c *Config) NeedsRestart(old Config) string {
	switch {
	case c.NATS != old.NATS:
		return "nats"
	case c.Embedded != old.Embedded:
		return "embedded"
	case c.DataDir != old.DataDir:
		return "data_dir"
	case c.Listen != old.Listen:
		return "listen"
	case c.WebConfig != old.WebConfig:
		return "web_config"
	case c.ExternalURL != old.ExternalURL:
		return "external_url"
	case c.RoutePrefix != old.RoutePrefix:
		return "route_prefix"
	case !reflect.DeepEqual(c.Web, old.Web):
		return "web"
	case !reflect.DeepEqual(c.Watchdog, old.Watchdog):
		return "watchdog"
	case !reflect.DeepEqual(c.AlwaysFiring(), old.AlwaysFiring()):
		return "receivers: alertmanager.watchdog"
	}
	return ""
}

// AlwaysFiring returns the receivers that are the target of a watchdog too: an alert fires
// there all the time.
func (c *Config) AlwaysFiring() (list []Receiver) {
	for _, r := range c.AllReceivers() {
		if r.Alertmanager != nil && r.Alertmanager.Watchdog {
			list = append(list, r)
		}
	}
	return list
}
