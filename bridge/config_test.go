package bridge

import (
	"os"
	"path/filepath"
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
		{
			name: "a host with a line break", change: func(c *Config) { c.Host = "web\n1" },
			text: `--host: invalid value "web\n1": want a name`,
		},
		{
			name: "a host that is no text", change: func(c *Config) { c.Host = "web\xff" },
			text: `--host: invalid value "web\xff": want a name`,
		},
		{
			name: "a spool too small", change: func(c *Config) { c.SpoolMax = 1<<20 - 1 },
			text: "--spool-max: invalid value 1048575: want 1MiB or more",
		},
		{
			name: "a negative drain", change: func(c *Config) { c.Drain = -1 },
			text: "--drain: invalid value -1ns: want a duration of zero or more",
		},
		{
			name: "a listen address without a port", change: func(c *Config) { c.Listen = "localhost" },
			text: `--listen: invalid value "localhost": want HOST:PORT, :PORT or off: address localhost: missing port in address`,
		},
		{
			name: "an invalid port", change: func(c *Config) { c.Listen = ":metrics?" },
			text: `--listen: invalid value ":metrics?": want HOST:PORT, :PORT or off: lookup tcp/metrics?: unknown port`,
		},
		{
			name: "a web configuration of nothing", change: func(c *Config) { c.WebConfig = "web.yaml" },
			text: "--web-config web.yaml is set without --listen",
		},
		{
			name: "a web configuration that is not there", change: webConfig("/no/web.yaml"),
			text: "--web-config /no/web.yaml: want Prometheus's web configuration file: open /no/web.yaml: no such file",
		},
		{
			name: "a web configuration with a key too many", change: webConfig("testdata/web-unknown.yaml"),
			text: "line 2: field basic_auth_user not found",
		},
		{
			name: "a password that is no hash", change: webConfig("testdata/web-plain.yaml"),
			text: "hashedSecret too short to be a bcrypted password",
		},
		{
			name: "a TTL of nothing", change: func(c *Config) { c.TTL = map[string]schema.Duration{"TICK": 1} },
			text: "--ttl: invalid value TICK=1ns: want 0, or 1s or more",
		},
		{
			name: "a TTL of no event", change: func(c *Config) { c.TTL = map[string]schema.Duration{"TOCK": 0} },
			text: "--ttl: invalid event \"TOCK\": want one of snapshot, ",
		},
		{
			name: "skipping no event", change: func(c *Config) { c.Skip = []string{"TICK", "TOCK"} },
			text: `--skip: invalid value "TOCK": want one of EVENT, `,
		},
		{
			name:   "two ways to log in",
			change: func(c *Config) { c.NATS = natsconn.Settings{User: "a", TokenFile: "b"} },
			text:   "user and token-file are set",
		},
		{
			name:   "a context and a URL",
			change: func(c *Config) { c.NATS = natsconn.Settings{URL: "a", Context: "b"} },
			text:   "url a and context b are set",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := goodConfig()
			tc.change(&cfg)
			if _, err := New(cfg, testBoot, "test", zerolog.Nop()); err == nil ||
				!strings.Contains(err.Error(), tc.text) {
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

// Where metrics are served is reported with the number of the port and with the scheme, for
// who wants to ask for them.
func TestSettingsOfTheListener(t *testing.T) {
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "web.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, c := range []struct {
		name, listen, webConfig string
		wantListen, wantScheme  string
	}{
		{name: "nowhere"},
		{name: "plain", listen: ":9876", wantListen: ":9876", wantScheme: "http"},
		{name: "a service by name", listen: "[::1]:http", wantListen: "[::1]:80", wantScheme: "http"},
		{name: "users alone", listen: ":9876", webConfig: file("basic_auth_users: {a: b}\n"), wantListen: ":9876", wantScheme: "http"},
		{name: "TLS", listen: ":9876", webConfig: file("tls_server_config: {cert_file: a, key_file: b}\n"), wantListen: ":9876", wantScheme: "https"},
		{name: "TLS, inline", listen: ":9876", webConfig: file("tls_server_config: {cert: a, key: b, min_version: TLS13}\n"), wantListen: ":9876", wantScheme: "https"},
		{name: "an empty file", listen: ":9876", webConfig: file(""), wantListen: ":9876", wantScheme: "http"},
		{name: "a file that is gone", listen: ":9876", webConfig: file("") + "x", wantListen: ":9876"},
	} {
		cfg := goodConfig()
		cfg.Listen, cfg.WebConfig = c.listen, c.webConfig
		if s := cfg.settings(); s["listen"] != c.wantListen || s["listen-scheme"] != c.wantScheme {
			t.Errorf("%s: %v", c.name, s)
		}
	}
}

// Secrets, and where they are, are not part of the settings that records report.
func TestSettings(t *testing.T) {
	cfg := goodConfig()
	cfg.NATS = natsconn.Settings{User: "me", PasswordFile: "/etc/secret"}
	cfg.TTL = map[string]schema.Duration{"TICK": schema.Duration(48 * time.Hour)}
	got := cfg.settings()
	delete(got, "address") // the machine's
	want := map[string]string{
		"host": "web1", "spool-dir": "/spool", "spool-max": "64MiB", "spool-sync": "always", "snapshot-every": "0s",
		"log-tail": "0", "length": "auto", "drain": "5s", "ttl TICK": "2d",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
