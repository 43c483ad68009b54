package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"supernats/schema"
	"supernats/schema/natsconn"
)

func goodConfig() Config {
	return Config{Host: "web1", SpoolDir: "/spool", SpoolMax: 64 << 20, Drain: schema.Duration(5 * time.Second)}
}

func webConfig(file string) func(*Config) {
	return func(c *Config) { c.Listen, c.WebConfig = "127.0.0.1:0", file }
}

// Each error names its flag: the program then exits with code 2.
func TestNewErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
		text   string
	}{
		{"a host with a line break", func(c *Config) { c.Host = "web\n1" }, `--host: invalid value "web\n1": want a name`},
		{"a host that is no text", func(c *Config) { c.Host = "web\xff" }, `--host: invalid value "web\xff": want a name`},
		{"a spool too small", func(c *Config) { c.SpoolMax = 1<<20 - 1 }, "--spool-max: invalid value 1048575: want 1MiB or more"},
		{"a negative drain", func(c *Config) { c.Drain = -1 }, "--drain: invalid value -1ns: want a duration of zero or more"},
		{"a listen address without a port", func(c *Config) { c.Listen = "localhost" }, `--listen: invalid value "localhost": want HOST:PORT, :PORT or off: address localhost: missing port in address`},
		{"a port that is none", func(c *Config) { c.Listen = ":metrics?" }, `--listen: invalid value ":metrics?": want HOST:PORT, :PORT or off: lookup tcp/metrics?: unknown port`},
		{"a web configuration of nothing", func(c *Config) { c.WebConfig = "web.yaml" }, "--web-config web.yaml is set without --listen"},
		{"a web configuration that is not there", webConfig("/no/web.yaml"), "--web-config /no/web.yaml: want Prometheus's web configuration file: open /no/web.yaml: no such file"},
		{"a web configuration with a key too many", webConfig("testdata/web-unknown.yaml"), "line 2: field basic_auth_user not found"},
		{"a password that is no hash", webConfig("testdata/web-plain.yaml"), "hashedSecret too short to be a bcrypted password"},
		{"a TTL of nothing", func(c *Config) { c.TTL = map[string]schema.Duration{"TICK": 1} }, "--ttl: invalid value TICK=1ns: want 0, or 1s or more"},
		{"a TTL of no event", func(c *Config) { c.TTL = map[string]schema.Duration{"TOCK": 0} }, "--ttl: invalid event \"TOCK\": want one of snapshot, "},
		{"skipping no event", func(c *Config) { c.Skip = []string{"TICK", "TOCK"} }, `--skip: invalid value "TOCK": want one of EVENT, `},
		{"two ways to log in", func(c *Config) { c.NATS = natsconn.Settings{User: "a", TokenFile: "b"} }, "user and token-file are set"},
		{"a context and a URL", func(c *Config) { c.NATS = natsconn.Settings{URL: "a", Context: "b"} }, "url a and context b are set"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := goodConfig()
			tc.change(&cfg)
			if _, err := New(cfg, testBoot, "test", zerolog.Nop()); err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("New: %v; want %q", err, tc.text)
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	cfg := goodConfig()
	cfg.Host = ""
	got, err := cfg.withDefaults()
	if err != nil || got.Host == "" || got.NATS.URL != natsconn.DefaultURL {
		t.Errorf("%+v, %v", got, err)
	}
	cfg.Listen, cfg.WebConfig = "off", "web.yaml" // for another section, by variables
	if got, err = cfg.withDefaults(); err != nil || got.Listen != "" || got.WebConfig != "" {
		t.Errorf("off is %q with %q, %v", got.Listen, got.WebConfig, err)
	}
	cfg.NATS.Context = "prod"
	if got, err = cfg.withDefaults(); err != nil || got.NATS.URL != "" {
		t.Errorf("with a context the URL is %q, %v", got.NATS.URL, err)
	}
}

// Secrets, and where they are, are not told.
func TestSettings(t *testing.T) {
	cfg := goodConfig()
	cfg.NATS = natsconn.Settings{User: "me", PasswordFile: "/etc/secret"}
	cfg.TTL = map[string]schema.Duration{"TICK": schema.Duration(48 * time.Hour)}
	got := cfg.settings()
	delete(got, "address") // the machine's
	want := map[string]string{"host": "web1", "spool-dir": "/spool", "spool-max": "64MiB", "spool-sync": "always", "snapshot-every": "0s", "log-tail": "0", "length": "auto", "drain": "5s", "ttl TICK": "2d"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
