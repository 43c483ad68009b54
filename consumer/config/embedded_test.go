package config

import (
	"strings"
	"testing"

	"supernats/schema/natsconn/natsconntest"
)

func TestEmbeddedConfigIsChecked(t *testing.T) {
	for text, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"authorization {": {change: nil, want: "embedded.config: "},
		"port: x":         {change: nil, want: "embedded.config: "},
		"nonsense: 1":     {change: nil, want: `unknown field "nonsense"`},
		"accounts { A { users: [ {user: a, password: a} ] }, B { users: [ {user: b, password: b} ] } }": {
			change: nil, want: "it has the accounts A, B: say with embedded.account which one the streams are in",
		},
		"accounts { A { users: [ {user: a, password: a} ] } }": {
			change: func(c *Config) { c.Embedded.Account = "Z" }, want: "it has no account Z (embedded.account), but: A",
		},
	} {
		cfg := Default()
		cfg.Embedded.Config = natsconntest.File(t, "nats-server.conf", text)
		if c.change != nil {
			c.change(&cfg)
		}
		if err := planError(cfg); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", text, err)
		}
	}
	cfg := Default()
	cfg.NATS.URL, cfg.Embedded.Config = "nats://h", "/not/used"
	if w := cfg.Warnings(); planError(cfg) != nil || len(w) != 1 || !strings.Contains(w[0], "embedded.config is not used") {
		t.Errorf("a server of somebody else: %q, %v", w, planError(cfg))
	}
	cfg = Default()
	cfg.Embedded.Config = "/there/is/none"
	if err := planError(cfg); err == nil || !strings.Contains(err.Error(), "/there/is/none") {
		t.Errorf("no file: %v", err)
	}
}
