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

	"supernats/schema/natsconn"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream"
)

// runs starts the daemon with a file of nats-server's own and returns how it is
// reached.
func runs(t *testing.T, text string, change func(*Config)) (a *App, url string) {
	t.Helper()
	cfg := Default()
	cfg.DataDir, cfg.Listen = t.TempDir(), ""
	cfg.Embedded.MaxStore = 16 << 20
	cfg.Embedded.Config = natsconntest.File(t, "nats-server.conf", text)
	if change != nil {
		change(&cfg)
	}
	var log buffer
	a, err := New(cfg, Options{Version: "test", Log: zerolog.New(&log), Load: func() (Config, error) { return cfg, nil }})
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
	case <-a.Ready():
	case <-time.After(30 * time.Second):
		t.Fatalf("not ready after 30 s:\n%s", log.String())
	}
	return a, a.server.Load().url()
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
			_, url := runs(t, "listen: 127.0.0.1:-1\n"+c.file, func(cfg *Config) { cfg.Embedded.Account = c.account })
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

// Without users the server is for this machine only, by every key and file.
func TestEmbeddedStaysLocalWithoutUsers(t *testing.T) {
	file := func(text string) func(*Embedded) {
		return func(e *Embedded) { e.Config = natsconntest.File(t, "nats-server.conf", text) }
	}
	for name, c := range map[string]struct {
		change func(*Embedded)
		host   string
		kept   string
	}{
		"listen":           {func(e *Embedded) { e.Listen = "0.0.0.0:4222" }, "127.0.0.1", "0.0.0.0:4222"},
		"listen, IPv6":     {func(e *Embedded) { e.Listen = "[::]:4222" }, "127.0.0.1", "[::]:4222"},
		"listen, insecure": {func(e *Embedded) { e.Listen, e.Insecure = "0.0.0.0:4222", true }, "0.0.0.0", ""},
		"loopback, IPv6":   {func(e *Embedded) { e.Listen = "[::1]:4222" }, "::1", ""},
		"a file":           {file("listen: 0.0.0.0:4333"), "127.0.0.1", "0.0.0.0:4333"},
		"a file, port":     {file("port: 4333"), "127.0.0.1", "0.0.0.0:4333"},
		"a file of limits": {file("max_payload: 2MB"), "127.0.0.1", ""},
		"a file of users":  {file(`listen: "0.0.0.0:4333", authorization { user: a, password: b }`), "0.0.0.0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Default()
			c.change(&cfg.Embedded)
			user, err := newInProcessUser()
			if err != nil {
				t.Fatal(err)
			}
			o, kept, err := cfg.serverOptions(user)
			if err != nil || o.Host != c.host || kept != c.kept {
				t.Errorf("it listens on %s, and not on %q: %v", o.Host, kept, err)
			}
			warned := strings.Join(cfg.Warnings(), "\n")
			if (c.kept == "") != (warned == "") || !strings.Contains(warned, c.kept) {
				t.Errorf("warnings: %q", warned)
			}
			if address := cfg.Client().URL; c.kept != "" && !strings.HasPrefix(address, "nats://127.0.0.1:4") {
				t.Errorf("commands look for it at %s", address)
			}
		})
	}
	o, _, err := (&Config{Embedded: Embedded{
		Listen: "127.0.0.1:4222", Config: natsconntest.File(t, "nats-server.conf", "listen: 0.0.0.0:4222, http: 0.0.0.0:8222, websocket { port: 8080, no_tls: true }"),
	}}).serverOptions(nil)
	if err != nil || o.HTTPHost != loopback || o.Websocket.Host != loopback {
		t.Errorf("the other doors: %q %q, %v", o.HTTPHost, o.Websocket.Host, err)
	}
}

func TestEmbeddedConfigIsChecked(t *testing.T) {
	for text, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"authorization {": {nil, "embedded.config: "},
		"port: x":         {nil, "embedded.config: "},
		"nonsense: 1":     {nil, `unknown field "nonsense"`},
		"accounts { A { users: [ {user: a, password: a} ] }, B { users: [ {user: b, password: b} ] } }": {
			nil, "it has the accounts A, B: say with embedded.account which one the streams are in",
		},
		"accounts { A { users: [ {user: a, password: a} ] } }": {
			func(c *Config) { c.Embedded.Account = "Z" }, "it has no account Z (embedded.account), but: A",
		},
		"max_payload: 1MB": {func(c *Config) { c.NATS.URL = "nats://h" }, "no server is embedded then"},
	} {
		cfg := Default()
		cfg.Embedded.Config = natsconntest.File(t, "nats-server.conf", text)
		if c.change != nil {
			c.change(&cfg)
		}
		if err := cfg.validate(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", text, err)
		}
	}
	cfg := Default()
	cfg.Embedded.Config = "/there/is/none"
	if err := cfg.validate(); err == nil || !strings.Contains(err.Error(), "/there/is/none") {
		t.Errorf("no file: %v", err)
	}
}

// Two on one store would overwrite what the other acknowledged.
func TestDataDirIsForOne(t *testing.T) {
	dir := t.TempDir()
	first, err := lockDataDir(dir, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.DataDir, cfg.Embedded.Listen, cfg.Listen = dir, "127.0.0.1:0", ""
	a, err := New(cfg, Options{Version: "test", Log: zerolog.Nop()})
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
	again, err := lockDataDir(dir, zerolog.Nop())
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	_ = again.Close()
}
