package app

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/embedded"
	"supernats/schema/natsconn"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream"
)

// embeddedDaemon starts a daemon with a file of nats-server's own and returns how it is
// reached.
func embeddedDaemon(t *testing.T, text string, change ...func(*config.Config)) (d *daemon, url string) {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = t.TempDir(), ""
	cfg.Embedded.MaxStore = 16 << 20
	cfg.Embedded.Config = natsconntest.File(t, "nats-server.conf", text)
	for _, c := range change {
		c(&cfg)
	}
	d = readyDaemon(t, cfg, func(o *Options) { o.Load = cfg.Plan })
	return d, d.server.Load().URL()
}

// The daemon needs no user of its own in the file, whatever others are asked for.
func TestEmbeddedWithUsers(t *testing.T) {
	public, seed := natsconntest.Nkey(t)
	authority := natsconntest.NewAuthority(t)
	cert, key := authority.Issue(t, "server")
	s3cret := natsconn.Settings{User: "web1", PasswordFile: natsconntest.File(t, "password", "s3cret")}
	withTLS := s3cret
	withTLS.TLS.CA = authority.CA
	for name, c := range map[string]struct {
		file    string
		account string
		user    natsconn.Settings
	}{
		"a password": {file: `authorization { user: web1, password: s3cret }`, user: s3cret},
		"a token": {
			file: `authorization { token: s3cret }`,
			user: natsconn.Settings{TokenFile: natsconntest.File(t, "token", "s3cret")},
		},
		"users": {
			file: `authorization { users: [ {user: web1, password: s3cret}, {user: db1, password: other} ] }`,
			user: s3cret,
		},
		"an account": {
			file: `accounts { A { jetstream: enabled, users: [ {nkey: ` + public + `} ] },
				$SYS { users: [ {user: admin, password: x} ] } }`,
			user: natsconn.Settings{NkeyFile: seed},
		},
		"accounts": {
			file: `accounts { A { jetstream: enabled, users: [ {user: web1, password: s3cret} ] },
				B { users: [ {user: b, password: b} ] } }`,
			account: "A",
			user:    s3cret,
		},
		"TLS": {
			file: fmt.Sprintf(`tls { cert_file: %q, key_file: %q }, authorization { user: web1, password: s3cret }`,
				cert, key),
			user: withTLS,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount := func(cfg *config.Config) { cfg.Embedded.Account = c.account }
			_, url := embeddedDaemon(t, "listen: 127.0.0.1:-1\n"+c.file, inAccount)
			if nc, err := nats.Connect(url, nats.RootCAs(authority.CA)); err == nil {
				nc.Close()
				t.Error("somebody unknown is let in")
			}

			c.user.URL = url
			nc, err := c.user.Connect("test", nats.RetryOnFailedConnect(false))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			js, err := c.user.JetStream(nc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := js.Stream(t.Context(), stream.Events); err != nil {
				t.Errorf("the streams are not where its users are: %v", err)
			}
		})
	}
}

// Whom the file is about changes without a restart, and its mistakes keep the old one.
func TestEmbeddedReloadsItsFile(t *testing.T) {
	const file = "listen: 127.0.0.1:-1\nauthorization { users: [ {user: web1, password: %s} ] }\n"
	d, url := embeddedDaemon(t, fmt.Sprintf(file, "old"))
	lets := func(password string) bool {
		nc, err := nats.Connect(url, nats.UserInfo("web1", password))
		if err != nil {
			return false
		}
		nc.Close()
		return true
	}
	write := func(text string) {
		if err := os.WriteFile(d.cfg.Embedded.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf(file, "new"))
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	if lets("old") || !lets("new") {
		t.Error("the new password is not the one")
	}
	write("authorization {")
	if err := d.Reload(); err == nil || !strings.Contains(err.Error(), "nats-server.conf") {
		t.Errorf("a broken file: %v", err)
	}
	if !lets("new") {
		t.Error("the old file does not hold")
	}
}

// Two on one store would overwrite what the other acknowledged.
func TestDataDirIsForOne(t *testing.T) {
	dir := t.TempDir()
	first, err := embedded.LockDataDir(dir, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.DataDir, cfg.Embedded.Listen, cfg.Listen = dir, "127.0.0.1:0", ""
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("data_dir %s is in use by pid %d", dir, os.Getpid())
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the second: %v, want %s", err, want)
	}

	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := embedded.LockDataDir(dir, zerolog.Nop())
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	_ = again.Close()
}
