package bridge

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"

	"supernats/bridge/eventlistener"
	"supernats/schema"
	"supernats/schema/natsconn"
)

// Config are the settings of a bridge. The tags are those of kong: each field is
// a flag and a variable of supernats-bridge.
type Config struct {
	NATS natsconn.Settings `embed:""`

	Host     string                     `placeholder:"NAME" help:"Name under which this supervisord publishes (default: the machine's hostname)."`
	SpoolMax schema.Size                `default:"1GiB" help:"Size limit of the spool; at the limit supervisord buffers."`
	Length   eventlistener.Length       `default:"auto" help:"How supervisord counts len: chars, bytes or auto."`
	Drain    schema.Duration            `default:"5s" help:"How long to go on publishing after supervisord asks to stop."`
	TTL      map[string]schema.Duration `placeholder:"NAME=DURATION" help:"How long a class of events stays in the stream, by event name or 'snapshot'; 0 for as long as the stream keeps it. Repeatable."`
	LogLevel string                     `default:"info" enum:"trace,debug,info,warn,error" help:"Log level: ${enum}."`
}

// withDefaults fills in what only the machine knows and rejects what cannot be.
func (c Config) withDefaults() (Config, error) {
	if c.Host == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("find out the hostname (or set --host): %w", err)
		}
		c.Host = host
	}
	if strings.IndexFunc(c.Host, unicode.IsControl) >= 0 || strings.ToValidUTF8(c.Host, "") != c.Host {
		return c, fmt.Errorf("--host %q: allowed is a name of UTF-8 without control characters", c.Host)
	}
	if c.SpoolMax < 1<<20 {
		return c, fmt.Errorf("--spool-max %v: allowed are 1MiB or more", c.SpoolMax)
	}
	if c.Drain < 0 {
		return c, errors.New("--drain: allowed are 0 or more")
	}
	if c.NATS.Context == "" && c.NATS.URL == "" {
		c.NATS.URL = natsconn.DefaultURL
	}
	return c, c.NATS.Check()
}

// settings are what the record "started" tells: those in force, by flag.
func (c Config) settings() map[string]string {
	s := map[string]string{
		"host":      c.Host,
		"spool-max": c.SpoolMax.String(),
		"length":    c.Length.String(),
		"drain":     c.Drain.String(),
	}
	for name, d := range c.TTL {
		s["ttl "+name] = d.String()
	}
	if a := address(); a != "" {
		s["address"] = a
	}
	return s
}
