package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
