package app

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/embedded"
	"supernats/consumer/fleettest"
	"supernats/schema/natsconn"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream"
)

// runs starts the daemon with a file of nats-server's own and returns how it is
// reached.
func runs(t *testing.T, text string, change func(*config.Config)) (a *App, url string) {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = t.TempDir(), ""
	cfg.Embedded.MaxStore = 16 << 20
	cfg.Embedded.Config = natsconntest.File(t, "nats-server.conf", text)
	if change != nil {
		change(&cfg)
	}
	var log fleettest.Buffer
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.New(&log), Load: cfg.Plan})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-a.ready:
	case <-time.After(30 * time.Second):
		t.Fatalf("not ready after 30 s:\n%s", log.String())
	}
	return a, a.server.Load().URL()
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
		"a password": {`authorization { user: web1, password: s3cret }`, "", s3cret},
		"a token":    {`authorization { token: s3cret }`, "", natsconn.Settings{TokenFile: natsconntest.File(t, "token", "s3cret")}},
		"users":      {`authorization { users: [ {user: web1, password: s3cret}, {user: db1, password: other} ] }`, "", s3cret},
		"an account": {`accounts { A { jetstream: enabled, users: [ {nkey: ` + public + `} ] }, $SYS { users: [ {user: admin, password: x} ] } }`, "", natsconn.Settings{NkeyFile: seed}},
		"accounts": {
			`accounts { A { jetstream: enabled, users: [ {user: web1, password: s3cret} ] }, B { users: [ {user: b, password: b} ] } }`, "A", s3cret,
		},
		"TLS": {
			fmt.Sprintf(`tls { cert_file: %q, key_file: %q }, authorization { user: web1, password: s3cret }`, cert, key), "",
			withTLS,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := runs(t, "listen: 127.0.0.1:-1\n"+c.file, func(cfg *config.Config) { cfg.Embedded.Account = c.account })
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
	a, url := runs(t, fmt.Sprintf(file, "old"), nil)
	lets := func(password string) bool {
		nc, err := nats.Connect(url, nats.UserInfo("web1", password))
		if err != nil {
			return false
		}
		nc.Close()
		return true
	}
	write := func(text string) {
		if err := os.WriteFile(a.cfg.Embedded.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf(file, "new"))
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	if lets("old") || !lets("new") {
		t.Error("the new password is not the one")
	}
	write("authorization {")
	if err := a.Reload(); err == nil || !strings.Contains(err.Error(), "nats-server.conf") {
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
