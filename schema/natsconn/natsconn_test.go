package natsconn_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"supernats/schema/natsconn"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream/streamtest"
)

// connect connects now or not at all.
func connect(t *testing.T, s natsconn.Settings) error {
	t.Helper()
	nc, err := s.Connect("test", nats.RetryOnFailedConnect(false))
	if err != nil {
		return err
	}
	defer nc.Close()
	return nc.Flush()
}

func TestContradictionsAreRefused(t *testing.T) {
	for _, c := range []struct {
		s    natsconn.Settings
		want string
	}{
		{
			s:    natsconn.Settings{CredsFile: "a", User: "b"},
			want: "nats: creds and user are set: want one of creds, nkey, user, token-file",
		},
		{
			s:    natsconn.Settings{CredsFile: "a", NkeyFile: "b", User: "c", TokenFile: "d"},
			want: "nats: creds and nkey and user and token-file are set: want one of creds, nkey, user, token-file",
		},
		{s: natsconn.Settings{PasswordFile: "a"}, want: "nats: a password file is set without a user"},
		{
			s:    natsconn.Settings{TLS: natsconn.TLS{Cert: "a"}},
			want: "nats: a TLS certificate or its key is missing: want both",
		},
		{
			s:    natsconn.Settings{TLS: natsconn.TLS{Key: "a"}},
			want: "nats: a TLS certificate or its key is missing: want both",
		},
		{
			s:    natsconn.Settings{URL: "nats://a:4222", Context: "b"},
			want: "nats: url nats://a:4222 and context b are set: want one of them",
		},
	} {
		if err := c.s.Check(); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v", c.s, err)
		}
		if _, err := c.s.Connect("test"); err == nil || err.Error() != c.want {
			t.Errorf("%+v: Connect says %v", c.s, err)
		}
	}
	for _, s := range []natsconn.Settings{
		{},
		{URL: "a"},
		{Context: "a"},
		{URL: "a", CredsFile: "b"},
		{User: "a"},
		{User: "a", PasswordFile: "b"},
		{TokenFile: "a"},
		{NkeyFile: "a", TLS: natsconn.TLS{CA: "a", Cert: "b", Key: "c"}},
		{Context: "a", TLS: natsconn.TLS{CA: "b"}},
	} {
		if err := s.Check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// Flags are laid over a file: what is not set stays.
func TestWith(t *testing.T) {
	file := natsconn.Settings{URL: "a", User: "u", PasswordFile: "p", TLS: natsconn.TLS{CA: "ca", Cert: "c", Key: "k"}}
	for name, c := range map[string]struct{ over, want natsconn.Settings }{
		"nothing": {over: natsconn.Settings{}, want: file},
		"another URL": {
			over: natsconn.Settings{URL: "b"},
			want: natsconn.Settings{URL: "b", User: "u", PasswordFile: "p", TLS: file.TLS},
		},
		"a context": {
			over: natsconn.Settings{Context: "x"},
			want: natsconn.Settings{Context: "x", User: "u", PasswordFile: "p", TLS: file.TLS},
		},
		"credentials": {
			over: natsconn.Settings{CredsFile: "f"}, want: natsconn.Settings{URL: "a", CredsFile: "f", TLS: file.TLS},
		},
		"another user": {
			over: natsconn.Settings{User: "v"}, want: natsconn.Settings{URL: "a", User: "v", TLS: file.TLS},
		},
		"its password": {
			over: natsconn.Settings{PasswordFile: "q"},
			want: natsconn.Settings{URL: "a", User: "u", PasswordFile: "q", TLS: file.TLS},
		},
		"another CA": {
			over: natsconn.Settings{TLS: natsconn.TLS{CA: "x"}},
			want: natsconn.Settings{
				URL: "a", User: "u", PasswordFile: "p", TLS: natsconn.TLS{CA: "x", Cert: "c", Key: "k"},
			},
		},
		"another cert": {
			over: natsconn.Settings{TLS: natsconn.TLS{Cert: "x", Key: "y"}},
			want: natsconn.Settings{
				URL: "a", User: "u", PasswordFile: "p", TLS: natsconn.TLS{CA: "ca", Cert: "x", Key: "y"},
			},
		},
	} {
		if got := file.With(c.over); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// A file that cannot be used is an error that names its flag and itself, and
// nothing of what it holds.
func TestUnusableFiles(t *testing.T) {
	s := streamtest.Start(t)
	authority := natsconntest.NewAuthority(t)
	cert, key := authority.Issue(t, "a")
	_, otherKey := authority.Issue(t, "b")
	_, seed := natsconntest.Nkey(t)
	none, dir := filepath.Join(t.TempDir(), "none"), t.TempDir()
	garbage, empty := natsconntest.File(t, "garbage", "s3cret garbage\n"), natsconntest.File(t, "empty", "\n")
	lines, wide := natsconntest.File(t, "lines", "user\ns3cret\n"), natsconntest.File(t, "wide", "\xff\xfes\x003\x00")
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	accountSeed, err := account.Seed()
	if err != nil {
		t.Fatal(err)
	}
	notUser := natsconntest.File(t, "account.nk", string(accountSeed))
	const noFile, isDir = "no such file or directory", "is a directory"
	for _, c := range []struct {
		s          natsconn.Settings
		flag, file string
		why        string
	}{
		{s: natsconn.Settings{CredsFile: none}, flag: "--nats-creds", file: none, why: noFile},
		{s: natsconn.Settings{CredsFile: dir}, flag: "--nats-creds", file: dir, why: isDir},
		{s: natsconn.Settings{CredsFile: garbage}, flag: "--nats-creds", file: garbage, why: "no nkey seed found"},
		{s: natsconn.Settings{CredsFile: seed}, flag: "--nats-creds", file: seed, why: "no JWT found"},
		{s: natsconn.Settings{NkeyFile: none}, flag: "--nats-nkey", file: none, why: noFile},
		{s: natsconn.Settings{NkeyFile: dir}, flag: "--nats-nkey", file: dir, why: isDir},
		{s: natsconn.Settings{NkeyFile: garbage}, flag: "--nats-nkey", file: garbage, why: "no nkey seed found"},
		{s: natsconn.Settings{NkeyFile: notUser}, flag: "--nats-nkey", file: notUser, why: "user"},
		{
			s:    natsconn.Settings{User: "a", PasswordFile: none},
			flag: "--nats-password-file",
			file: none,
			why:  noFile,
		},
		{s: natsconn.Settings{User: "a", PasswordFile: dir}, flag: "--nats-password-file", file: dir, why: isDir},
		{
			s:    natsconn.Settings{User: "a", PasswordFile: empty},
			flag: "--nats-password-file",
			file: empty,
			why:  "is empty",
		},
		{
			s:    natsconn.Settings{User: "a", PasswordFile: lines},
			flag: "--nats-password-file",
			file: lines,
			why:  "holds 2 lines",
		},
		{
			s:    natsconn.Settings{User: "a", PasswordFile: wide},
			flag: "--nats-password-file",
			file: wide,
			why:  "UTF-16",
		},
		{s: natsconn.Settings{TokenFile: lines}, flag: "--nats-token-file", file: lines, why: "holds 2 lines"},
		{s: natsconn.Settings{TokenFile: none}, flag: "--nats-token-file", file: none, why: noFile},
		{s: natsconn.Settings{TokenFile: empty}, flag: "--nats-token-file", file: empty, why: "is empty"},
		{s: natsconn.Settings{TLS: natsconn.TLS{CA: none}}, flag: "--nats-tls-ca", file: none, why: noFile},
		{
			s:    natsconn.Settings{TLS: natsconn.TLS{CA: garbage}},
			flag: "--nats-tls-ca",
			file: garbage,
			why:  "no certificate",
		},
		{s: natsconn.Settings{TLS: natsconn.TLS{CA: key}}, flag: "--nats-tls-ca", file: key, why: "no certificate"},
		{
			s:    natsconn.Settings{TLS: natsconn.TLS{Cert: none, Key: key}},
			flag: "--nats-tls-cert",
			file: none,
			why:  noFile,
		},
		{
			s:    natsconn.Settings{TLS: natsconn.TLS{Cert: garbage, Key: key}},
			flag: "--nats-tls-cert",
			file: garbage,
			why:  "find any PEM data",
		},
		{
			s:    natsconn.Settings{TLS: natsconn.TLS{Cert: cert, Key: none}},
			flag: "--nats-tls-key",
			file: none,
			why:  noFile,
		},
		{
			s:    natsconn.Settings{TLS: natsconn.TLS{Cert: cert, Key: otherKey}},
			flag: "--nats-tls-cert",
			file: cert,
			why:  "--nats-tls-key " + otherKey + ": tls: private key does not match",
		},
	} {
		t.Run(c.flag+" "+filepath.Base(c.file), func(t *testing.T) {
			c.s.URL = s.URL
			nc, err := c.s.Connect("test")
			if err == nil {
				nc.Close()
				t.Fatal("no error")
			}
			if text := err.Error(); !strings.HasPrefix(text, c.flag+" "+c.file+": ") || !strings.Contains(text, c.why) {
				t.Errorf("%v; want %s, the file and %q", err, c.flag, c.why)
			}
			noSecrets(t, err, c.file)
		})
	}
	t.Run("unreadable", func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("root may read everything")
		}
		if err := os.Chmod(seed, 0); err != nil {
			t.Fatal(err)
		}
		if err := connect(t, natsconn.Settings{URL: s.URL, NkeyFile: seed}); err == nil ||
			err.Error() != "--nats-nkey "+seed+": permission denied" {
			t.Errorf("%v", err)
		}
	})
}

// noSecrets checks that an error shows no line of a file.
func noSecrets(t *testing.T, err error, file string) {
	t.Helper()
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && strings.Contains(err.Error(), line) {
			t.Errorf("it shows what is in the file: %v", err)
		}
	}
}

func TestWays(t *testing.T) {
	for name, w := range natsconntest.Ways(t) {
		t.Run(name, func(t *testing.T) {
			s := streamtest.Start(t, w.Serve)
			url := strings.Replace(s.URL, "tls://", "nats://", 1)
			w.Right.URL = url
			if err := connect(t, w.Right); err != nil {
				t.Error(err)
			}
			for name, c := range w.Wrong {
				c.URL = url
				err := connect(t, c.Settings)
				if err == nil || !strings.Contains(strings.ToLower(err.Error()), c.Why) ||
					!strings.Contains(err.Error(), "connect to "+url+": ") {
					t.Errorf("%s: %v; want %q", name, err, c.Why)
				}
				for _, file := range []string{c.CredsFile, c.NkeyFile, c.PasswordFile, c.TokenFile} {
					noSecrets(t, err, file)
				}
			}
		})
	}
}

// What stands in a URL of who we are is not shown.
func TestSecretsInURLs(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) { o.Authorization = "t0ken" })
	host := strings.TrimPrefix(s.URL, "nats://")
	if err := connect(t, natsconn.Settings{URL: "nats://t0ken@" + host}); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		s    natsconn.Settings
		want string
	}{
		{s: natsconn.Settings{URL: "nats://T0ken@" + host}, want: "nats://***@" + host},
		{s: natsconn.Settings{URL: "ops:T0ken@" + host}, want: "***@" + host},
		{
			s:    natsconn.Settings{URL: "nats://127.0.0.1:1,nats://ops:T0ken@" + host},
			want: "nats://127.0.0.1:1,nats://***@" + host,
		},
		{s: natsconn.Settings{URL: "nats://ops:T0ken%zz@" + host}, want: "nats://***@" + host},
		{s: natsconn.Settings{URL: "nats://ops:T0ken@" + host + "/\x00"}, want: "nats://***@" + host},
		{s: natsconn.Settings{URL: "nats://ops:T0ken@a", Context: "b"}, want: "url nats://***@a and context b"},
	} {
		if err := connect(t, c.s); err == nil || strings.Contains(err.Error(), "T0ken") ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.s, err)
		}
	}
}

func TestPassword(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "ops", Password: "s3cret"},
			{Username: "space", Password: "s3cret "},
			{Username: "open", Password: ""},
		}
	})
	for _, c := range []struct {
		name, user, file, env string
		ok                    bool
	}{
		{name: "file", user: "ops", file: "s3cret", ok: true},
		{name: "file with a line end", user: "ops", file: "s3cret\n", ok: true},
		{name: "file from Windows", user: "ops", file: "\ufeffs3cret\r\n", ok: true},
		{name: "file with a space after it", user: "ops", file: "s3cret \n", ok: true},
		{name: "file with a tab and lines around it", user: "ops", file: "\n\ts3cret\n\n", ok: true},
		{name: "file wins", user: "ops", file: "s3cret\n", env: "wrong", ok: true},
		{name: "variable", user: "ops", env: "s3cret", ok: true},
		{name: "variable with a line end", user: "ops", env: "s3cret\n", ok: true},
		{name: "variable with a space", user: "space", env: "s3cret ", ok: true},
		{name: "wrong", user: "ops", file: "S3cret"},
		{name: "nothing", user: "ops"},
		{name: "nobody", env: "s3cret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := natsconn.Settings{URL: s.URL, User: c.user}
			if c.file != "" {
				settings.PasswordFile = natsconntest.File(t, "password", c.file)
			}
			t.Setenv(natsconn.EnvPassword, c.env)
			if err := connect(t, settings); err == nil != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestNkeyFromWindows: a seed is found whatever an editor has left around it.
func TestNkeyFromWindows(t *testing.T) {
	public, file := natsconntest.Nkey(t)
	s := streamtest.Start(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} })
	seed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seed = bytes.TrimSpace(seed)

	for name, text := range map[string]string{
		"CRLF": "%s\r\n", "mark": "\ufeff%s\n", "space": " %s \n", "tab": "%s\t", "blank line": "\r\n%s\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			file := natsconntest.File(t, "seed", fmt.Sprintf(text, seed))
			if err := connect(t, natsconn.Settings{URL: s.URL, NkeyFile: file}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTokenInVariable(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) { o.Authorization = "t0ken" })
	t.Setenv(natsconn.EnvToken, "t0ken")
	if err := connect(t, natsconn.Settings{URL: s.URL}); err != nil {
		t.Error(err)
	}
}

func TestServerThatComesLater(t *testing.T) {
	s := streamtest.Start(t)
	s.Stop()
	nc, err := natsconn.Settings{URL: "nats://127.0.0.1:1," + s.URL}.Connect("later",
		nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		t.Fatalf("a server that is not there yet is an error: %v", err)
	}
	defer nc.Close()
	if nc.IsConnected() {
		t.Fatal("it is connected to nobody")
	}
	if err := nc.Publish("x", nil); err == nil {
		t.Error("it buffers")
	}
	s.Restart()
	for end := time.Now().Add(20 * time.Second); !nc.IsConnected(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not connect")
		}
	}
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
	if nc.Opts.Name != "later" {
		t.Errorf("it is called %q", nc.Opts.Name)
	}
}

func TestContextOfTheCLI(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "ops", Password: "s3cret"}}
	})
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	t.Setenv("HOME", config)
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(config, "nats", "context", name+".json")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("prod", fmt.Sprintf(`{"description":"x","url":%q,"user":"ops","password":"s3cret"}`, s.URL))
	write("wrong", fmt.Sprintf(`{"url":%q,"user":"ops","password":"wrong"}`, s.URL))
	write("broken", `{`)
	if err := connect(t, natsconn.Settings{Context: "prod"}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"wrong", "broken", "none"} {
		if err := connect(t, natsconn.Settings{Context: name}); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("connect with the nats context %q: ", name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Files of a password and a token are read again whenever a connection is made; one
// that is not there for a moment is no reason to forget what it held.
func TestSecretsAreReadAgain(t *testing.T) {
	file := natsconntest.File(t, "secret", "old")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		settings natsconn.Settings
		serve    func(o *server.Options, secret string)
	}{
		"password": {settings: natsconn.Settings{User: "ops", PasswordFile: file}, serve: func(o *server.Options, secret string) {
			o.Users = []*server.User{{Username: "ops", Password: secret}}
		}},
		"token": {
			settings: natsconn.Settings{TokenFile: file},
			serve:    func(o *server.Options, secret string) { o.Authorization = secret },
		},
	} {
		t.Run(name, func(t *testing.T) {
			write("old")
			old := streamtest.Start(t, func(o *server.Options) { c.serve(o, "old") })
			c.settings.URL = old.URL
			nc, err := c.settings.Connect("test", nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0),
				nats.IgnoreAuthErrorAbort())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}

			old.Stop()
			port := old.Port()
			current := streamtest.Start(t, func(o *server.Options) { o.Port = port; c.serve(o, "new") })
			defer current.Stop()
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			write("new")

			for end := time.Now().Add(20 * time.Second); !nc.IsConnected(); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("it does not connect: %v", nc.LastError())
				}
			}
		})
	}
}
