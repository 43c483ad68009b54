package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supernats/consumer/notify/alertmanager"
	"supernats/consumer/watchdog"
	"supernats/consumer/web/site"
)

// Pages that strangers can look at are reported; and what they may do there.
func TestPagesForEverybody(t *testing.T) {
	users := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(users, []byte("basic_auth_users: {ops: 'hash'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(empty, []byte("tls_server_config: {cert_file: a, key_file: b}\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		name, listen, webConfig string
		allow                   []string
		want                    string
	}{
		{name: "the default", listen: Default().Listen},
		{name: "nowhere", listen: ""},
		{name: "by name", listen: "localhost:8000"},
		{name: "IPv6", listen: "[::1]:8000"},
		{name: "with users", listen: "0.0.0.0:8000", webConfig: users},
		{name: "everywhere", listen: ":8000", want: "can see the fleet: it wants no password; give it users"},
		{name: "another address", listen: "192.0.2.1:8000", want: "192.0.2.1:8000"},
		{name: "TLS is no password", listen: "0.0.0.0:8000", webConfig: empty, want: "no password"},
		{name: "with rights", listen: "0.0.0.0:8000", allow: []string{site.AllowMute}, want: "change what web.allow lists (mute)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Default()
			cfg.Listen, cfg.WebConfig, cfg.Web.Allow = c.listen, c.webConfig, c.allow
			warnings := strings.Join(cfg.Warnings(), "\n")
			if found := strings.Contains(warnings, "it wants no password"); found != (c.want != "") || !strings.Contains(warnings, c.want) {
				t.Errorf("warnings %q, want %q", warnings, c.want)
			}
		})
	}
}

// What a reload cannot put in force is named, so that nobody believes that it is.
func TestNeedsRestart(t *testing.T) {
	pinged := Receiver{Name: "am", Kinds: Kinds{Alertmanager: &alertmanager.Config{Watchdog: true}}}
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{name: "nothing", change: func(*Config) {}},
		{name: "what is reloaded", change: func(c *Config) { c.Compat = []string{CompatNodeExporter} }},
		{name: "a receiver", change: func(c *Config) { c.Receivers = []Receiver{{Name: "am"}} }},
		{name: "a receiver that is watched", change: func(c *Config) { c.Receivers = []Receiver{pinged} }, want: "receivers: alertmanager.watchdog"},
		{name: "an address", change: func(c *Config) { c.ExternalURL = "https://ops.example.com" }, want: "external_url"},
		{name: "rights", change: func(c *Config) { c.Web.Allow = []string{site.AllowAck} }, want: "web"},
		{name: "a watchdog", change: func(c *Config) { c.Watchdog = []watchdog.Settings{{Name: "hc"}} }, want: "watchdog"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Default()
			c.change(&cfg)
			if got := cfg.NeedsRestart(Default()); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
