package bridge

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"supernats/bridge/eventlistener"
	"supernats/bridge/web"
	"supernats/schema"
	"supernats/schema/natsconn"
)

// Config are the settings of a bridge. The tags are those of kong: each field is
// a flag and a variable of supernats-bridge.
type Config struct {
	NATS natsconn.Settings `embed:""`

	Host          string                     `placeholder:"NAME" help:"Name under which this supervisord publishes (default: the machine's hostname)."`
	SpoolDir      string                     `placeholder:"DIR" help:"Where events wait until JetStream has them (default: the first that can be written to of /var/lib/supernats/HOST, $XDG_STATE_HOME/supernats/HOST, ~/.local/state/supernats/HOST, /run/supernats/HOST, $XDG_RUNTIME_DIR/supernats/HOST, $TMPDIR/supernats-UID/HOST; without any, memory)."`
	SpoolMax      schema.Size                `default:"1GiB" help:"Size limit of the spool. Above nine tenths TICK and PROCESS_LOG are let go and counted; at the limit supervisord buffers."`
	SpoolSync     SyncPolicy                 `default:"100ms" help:"How often the spool is flushed to the disk's platter: a duration, always, or never."`
	SnapshotEvery schema.Duration            `default:"60s" help:"How often the whole process table is published; 0 turns it off."`
	LogTail       schema.Size                `default:"4KiB" help:"How much of a crashed process's log goes into the event; 0 turns it off."`
	ServerURL     string                     `placeholder:"URL" help:"supervisord's XML-RPC, unix:///path or http://user:pass@host:port (default: $SUPERVISOR_SERVER_URL)."`
	Skip          []string                   `placeholder:"NAME" help:"Events that are answered but not published, by name as in events=: another section of this supervisord publishes them. Repeatable."`
	Listen        string                     `placeholder:"ADDRESS" help:"Address of /metrics, /healthz and /readyz, HOST:PORT or :PORT, or off (default: off)."`
	WebConfig     string                     `placeholder:"FILE" help:"TLS and basic authentication of that address: Prometheus's web configuration file."`
	Length        eventlistener.Length       `default:"auto" help:"How supervisord counts len: chars, bytes or auto."`
	Drain         schema.Duration            `default:"5s" help:"How long to go on publishing after supervisord asks to stop."`
	TTL           map[string]schema.Duration `placeholder:"NAME=DURATION" help:"How long a class of events stays in the stream, by event name or 'snapshot'; 0 for as long as the stream keeps it. Repeatable."`
	Ephemeral     bool                       `help:"This host is gone for good once its supervisord has been stopped, as a container is: supernats forgets it then, without an alert."`
	Wake          bool                       `default:"true" negatable:"" help:"Wake supervisord when one of its programs has died: its event comes at once instead of up to a second later."`
	LogLevel      string                     `default:"info" enum:"trace,debug,info,warn,error" help:"Log level: ${enum}."`

	// StartedTogether says that nobody has listened to this life of supervisord
	// before, see the function of that name: what is missing then is lost.
	StartedTogether bool `kong:"-"`
}

// maxLogTail keeps an event with its log below the 1 MiB that a NATS server takes.
const maxLogTail = 128 << 10

// withDefaults fills in what only the machine knows and rejects what cannot be.
func (c Config) withDefaults() (Config, error) {
	host, err := c.host()
	if err != nil {
		return c, err
	}
	c.Host = host
	if strings.IndexFunc(c.Host, unicode.IsControl) >= 0 || strings.ToValidUTF8(c.Host, "") != c.Host {
		return c, fmt.Errorf("--host %q: allowed is a name of UTF-8 without control characters", c.Host)
	}
	if c.SpoolMax < 1<<20 {
		return c, fmt.Errorf("--spool-max %v: allowed are 1MiB or more", c.SpoolMax)
	}
	if c.Drain < 0 {
		return c, errors.New("--drain: allowed are 0 or more")
	}
	if c.ServerURL == "" {
		c.ServerURL = os.Getenv("SUPERVISOR_SERVER_URL")
	}
	if c.LogTail > maxLogTail {
		return c, fmt.Errorf("--log-tail %v: allowed are 0 to %v", c.LogTail, schema.Size(maxLogTail))
	}
	if c.Listen == web.Off {
		c.Listen, c.WebConfig = "", "" // the variables may be set, for another section
	}
	if err := c.checkSkip(); err != nil {
		return c, err
	}
	if err := web.Check(c.Listen, c.WebConfig); err != nil {
		return c, err
	}
	if c.NATS.Context == "" && c.NATS.URL == "" {
		c.NATS.URL = natsconn.DefaultURL
	}
	return c, c.NATS.Check()
}

// host is --host, or the machine's name.
func (c Config) host() (string, error) {
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

// settings are what the record "started" tells: those in force, by flag.
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
	if c.Ephemeral {
		s["ephemeral"] = "true"
	}
	if len(c.Skip) > 0 {
		s["skip"] = strings.Join(c.Skip, ",")
	}
	if c.Listen != "" {
		s["listen"] = c.Listen
	}
	for name, d := range c.TTL {
		s["ttl "+name] = d.String()
	}
	if a := address(); a != "" {
		s["address"] = a
	}
	return s
}
