package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"supernats/consumer/notify/mail"
	"supernats/schema"
	"supernats/schema/natsconn"
)

// Config is the configuration file of `supernats`.
type Config struct {
	NATS     NATS            `yaml:"nats"`
	Embedded Embedded        `yaml:"embedded"`
	DataDir  string          `yaml:"data_dir"`
	Mail     *mail.Config    `yaml:"mail"`
	Groups   []string        `yaml:"groups"`
	MaxAge   schema.Duration `yaml:"max_age"`
}

// NATS says which server to use. Without url and context, a server is embedded.
type NATS struct {
	natsconn.Settings `yaml:",inline"`
	// Replicas of the streams and buckets that are missing and get created.
	Replicas int `yaml:"replicas"`
}

// Embedded are the settings of the server in `supernats consume`.
type Embedded struct {
	Listen string `yaml:"listen"`
	// MaxStore bounds the stream of events; alerts and states take up to a
	// quarter of it more.
	MaxStore schema.Size `yaml:"max_store"`
}

// Default returns the settings of an installation without a file.
func Default() Config {
	return Config{
		NATS:     NATS{Replicas: 1},
		Embedded: Embedded{Listen: "127.0.0.1:4222", MaxStore: 4 << 30},
		MaxAge:   schema.Duration(24 * time.Hour),
	}
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
		s.URL = "nats://" + c.Embedded.Listen
	}
	return s
}

// keyError is an error of one key; its path is that of the file, "mail.from".
type keyError struct {
	path string
	err  error
}

func (e *keyError) Error() string { return e.path + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// validate reports what is wrong beyond the types of the keys, the first thing
// found.
func (c *Config) validate() error {
	if err := c.NATS.Check(); err != nil {
		return &keyError{"nats", errors.New(strings.TrimPrefix(err.Error(), "nats: "))}
	}
	if c.NATS.Replicas < 1 || c.NATS.Replicas > 5 {
		return &keyError{"nats.replicas", fmt.Errorf("found %d, allowed are 1 to 5", c.NATS.Replicas)}
	}
	if c.embeds() && c.NATS.Settings != (natsconn.Settings{}) {
		return &keyError{"nats", errors.New("credentials are set, but neither url nor context: the embedded server needs none")}
	}
	if !isListen(c.Embedded.Listen) {
		return &keyError{"embedded.listen", fmt.Errorf("found %q, allowed is host:port, the port a number up to 65535", c.Embedded.Listen)}
	}
	if c.Embedded.MaxStore < 1<<20 {
		return &keyError{"embedded.max_store", fmt.Errorf("found %v, allowed are 1MiB or more", c.Embedded.MaxStore)}
	}
	if c.MaxAge <= 0 {
		return &keyError{"max_age", fmt.Errorf("found %v, allowed is a duration above zero: no event would be young enough to be told", c.MaxAge)}
	}
	for i, g := range c.Groups {
		if !doublestar.ValidatePattern(g) {
			return &keyError{fmt.Sprintf("groups[%d]", i), fmt.Errorf("found %q, allowed are names with *, ?, [a-z] and {a,b}", g)}
		}
	}
	if c.Mail != nil {
		if err := c.Mail.Validate(); err != nil {
			return &keyError{"mail", err}
		}
	}
	return nil
}

func isListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
