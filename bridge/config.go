package bridge

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"supernats/bridge/eventlistener"
	"supernats/bridge/web"
	"supernats/schema"
	"supernats/schema/natsconn"
)

// Config are the settings of a bridge. The tags are those of kong: each field is a flag
// and a variable of supernats-bridge. FlagHelp holds the help of the flags.
type Config struct {
	NATS natsconn.Settings `embed:""`

	Host          string                     `placeholder:"NAME" help:"${help_host}"`
	SpoolDir      string                     `placeholder:"DIR" help:"${help_spool_dir}"`
	SpoolMax      schema.Size                `default:"1GiB" help:"${help_spool_max}"`
	SpoolSync     SyncPolicy                 `default:"100ms" help:"${help_spool_sync}"`
	SnapshotEvery schema.Duration            `default:"60s" help:"${help_snapshot_every}"`
	LogTail       schema.Size                `default:"4KiB" help:"${help_log_tail}"`
	ServerURL     string                     `placeholder:"URL" help:"${help_server_url}"`
	Skip          []string                   `placeholder:"NAME" help:"${help_skip}"`
	Listen        string                     `placeholder:"ADDRESS" help:"${help_listen}"`
	WebConfig     string                     `placeholder:"FILE" help:"${help_web_config}"`
	Length        eventlistener.Length       `default:"auto" help:"${help_length}"`
	Drain         schema.Duration            `default:"5s" help:"${help_drain}"`
	TTL           map[string]schema.Duration `placeholder:"NAME=DURATION" help:"${help_ttl}"`
	Ephemeral     bool                       `help:"${help_ephemeral}"`
	Wake          bool                       `default:"true" negatable:"" help:"${help_wake}"`

	LogLevel string `default:"info" enum:"trace,debug,info,warn,error" help:"Log level: ${enum}."`

	// StartedTogether says that nobody has listened to this life of supervisord before:
	// what is missing then is lost. It is found out where it is not set.
	StartedTogether bool `kong:"-"`
}

// FlagHelp is the help of the flags of Config: variables for kong.
var FlagHelp = map[string]string{
	"help_host": "Name under which this supervisord publishes (default: the machine's hostname).",
	"help_spool_dir": "Where events wait until JetStream has them (default: the first that can be written to of " +
		"/var/lib/supernats/HOST, $XDG_STATE_HOME/supernats/HOST, ~/.local/state/supernats/HOST, " +
		"/run/supernats/HOST, $XDG_RUNTIME_DIR/supernats/HOST, $TMPDIR/supernats-UID/HOST; without any, memory).",
	"help_spool_max": "Size limit of the spool. " +
		"Above nine tenths TICK and PROCESS_LOG are dropped and counted; at the limit supervisord buffers.",
	"help_spool_sync":     "How often the spool is flushed to the disk's platter: a duration, always, or never.",
	"help_snapshot_every": "How often the whole process table is published; 0 turns it off.",
	"help_log_tail":       "How much of a crashed process's log goes into the event; 0 turns it off.",
	"help_server_url": "supervisord's XML-RPC, unix:///path or http://user:pass@host:port " +
		"(default: $SUPERVISOR_SERVER_URL).",
	"help_skip": "Events that are answered but not published, by name as in events=: " +
		"another section of this supervisord publishes them. Repeatable.",
	"help_listen":     "Address of /metrics, /healthz and /readyz, HOST:PORT or :PORT, or off (default: off).",
	"help_web_config": "TLS and basic authentication of that address: Prometheus's web configuration file.",
	"help_length":     "How supervisord counts len: chars, bytes or auto.",
	"help_drain":      "How long to continue publishing after supervisord asks to stop.",
	"help_ttl": "How long a class of events stays in the stream, by event name or 'snapshot'; " +
		"0 for as long as the stream keeps it. Repeatable.",
	"help_ephemeral": "This host is gone for good once its supervisord has been stopped, as a container is: " +
		"supernats forgets it then, without an alert.",
	"help_wake": "Wake supervisord when one of its programs has died: " +
		"its event comes at once instead of up to a second later.",
}

// minSpool is the least that a spool may take.
const minSpool schema.Size = 1 << 20

// maxLogTail keeps an event with its log below the 1 MiB that a NATS server takes.
const maxLogTail = 128 << 10

// withDefaults fills in what only the machine knows and rejects what cannot be.
func (c Config) withDefaults() (Config, error) {
	host, err := c.hostName()
	if err != nil {
		return c, err
	}
	c.Host = host
	if c.ServerURL == "" {
		c.ServerURL = os.Getenv("SUPERVISOR_SERVER_URL")
	}
	if c.Listen == web.Off {
		c.Listen, c.WebConfig = "", "" // the variables may be set, for another section
	}
	if c.NATS.Context == "" && c.NATS.URL == "" {
		c.NATS.URL = natsconn.DefaultURL
	}

	if err := c.CheckValues(); err != nil {
		return c, err
	}
	if err := web.Check(c.Listen, c.WebConfig); err != nil {
		return c, err
	}
	return c, c.NATS.Check()
}

// CheckValues rejects values that cannot be, whatever the machine. It reads no files. It
// returns the first one.
func (c Config) CheckValues() error {
	switch {
	case strings.IndexFunc(c.Host, unicode.IsControl) >= 0, !utf8.ValidString(c.Host):
		return fmt.Errorf("--host: invalid value %q: want a name of UTF-8 without control characters", c.Host)
	case c.SpoolMax < minSpool:
		return fmt.Errorf("--spool-max: invalid value %v: want %v or more", c.SpoolMax, minSpool)
	case c.Drain < 0:
		return fmt.Errorf("--drain: invalid value %v: want a duration of zero or more", c.Drain)
	case c.LogTail > maxLogTail:
		return fmt.Errorf("--log-tail: invalid value %v: want 0 to %v", c.LogTail, schema.Size(maxLogTail))
	}
	return c.checkSkip()
}

// hostName is --host, or the machine's name.
func (c Config) hostName() (string, error) {
	if c.Host != "" {
		return c.Host, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("find out the hostname (or set --host): %w", err)
	}
	return host, nil
}

// checkSkip rejects names that are no events.
func (c Config) checkSkip() error {
	for _, name := range c.Skip {
		if !schema.Known(name) && !slices.Contains(schema.Families(), name) {
			return fmt.Errorf("--skip: invalid value %q: want one of %s, %s", name,
				strings.Join(schema.Families(), ", "), strings.Join(schema.Names(), ", "))
		}
	}
	return nil
}

// settings are those in force, by flag, for the records of the bridge about itself.
func (c Config) settings() map[string]string {
	s := map[string]string{
		"host":           c.Host,
		"spool-dir":      c.SpoolDir,
		"spool-max":      c.SpoolMax.String(),
		"spool-sync":     c.SpoolSync.String(),
		"snapshot-every": c.SnapshotEvery.String(),
		"log-tail":       c.LogTail.String(),
		"length":         c.Length.String(),
		"drain":          c.Drain.String(),
	}

	// What is set rarely is named only if it is.
	if c.Ephemeral {
		s["ephemeral"] = "true"
	}
	if len(c.Skip) > 0 {
		s["skip"] = strings.Join(c.Skip, ",")
	}
	if c.Listen != "" {
		s["listen"] = web.NumberPort(c.Listen)
		if scheme := web.Scheme(c.WebConfig); scheme != "" {
			s["listen-scheme"] = scheme
		}
	}
	for name, d := range c.TTL {
		s["ttl "+name] = d.String()
	}
	if a := hostAddress(); a != "" {
		s["address"] = a
	}
	return s
}
