package natsconn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"supernats/schema/natsconn"
	"supernats/schema/stream/streamtest"
)

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

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
		{natsconn.Settings{CredsFile: "a", User: "b"}, "nats: creds and user are set, allowed is one of creds, nkey, user, token-file"},
		{
			natsconn.Settings{CredsFile: "a", NkeyFile: "b", User: "c", TokenFile: "d"},
			"nats: creds and nkey and user and token-file are set, allowed is one of creds, nkey, user, token-file",
		},
		{natsconn.Settings{PasswordFile: "a"}, "nats: a password file is set without a user"},
		{natsconn.Settings{TLS: natsconn.TLS{Cert: "a"}}, "nats: a TLS certificate and its key go together, one of them is set"},
		{natsconn.Settings{TLS: natsconn.TLS{Key: "a"}}, "nats: a TLS certificate and its key go together, one of them is set"},
		{natsconn.Settings{URL: "nats://a:4222", Context: "b"}, "nats: url nats://a:4222 and context b are set, allowed is one of them"},
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
		"nothing":      {natsconn.Settings{}, file},
		"another URL":  {natsconn.Settings{URL: "b"}, natsconn.Settings{URL: "b", User: "u", PasswordFile: "p", TLS: file.TLS}},
		"a context":    {natsconn.Settings{Context: "x"}, natsconn.Settings{Context: "x", User: "u", PasswordFile: "p", TLS: file.TLS}},
		"credentials":  {natsconn.Settings{CredsFile: "f"}, natsconn.Settings{URL: "a", CredsFile: "f", TLS: file.TLS}},
		"another user": {natsconn.Settings{User: "v"}, natsconn.Settings{URL: "a", User: "v", TLS: file.TLS}},
		"its password": {natsconn.Settings{PasswordFile: "q"}, natsconn.Settings{URL: "a", User: "u", PasswordFile: "q", TLS: file.TLS}},
		"another CA":   {natsconn.Settings{TLS: natsconn.TLS{CA: "x"}}, natsconn.Settings{URL: "a", User: "u", PasswordFile: "p", TLS: natsconn.TLS{CA: "x", Cert: "c", Key: "k"}}},
		"another cert": {natsconn.Settings{TLS: natsconn.TLS{Cert: "x", Key: "y"}}, natsconn.Settings{URL: "a", User: "u", PasswordFile: "p", TLS: natsconn.TLS{CA: "ca", Cert: "x", Key: "y"}}},
	} {
		if got := file.With(c.over); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestMissingFilesAreErrors(t *testing.T) {
	s := streamtest.Start(t)
	none := filepath.Join(t.TempDir(), "none")
	garbage := file(t, "garbage", "garbage")
	for name, c := range map[string]struct {
		s    natsconn.Settings
		want []string
	}{
		"creds":        {natsconn.Settings{CredsFile: none}, []string{"nats credentials: ", none, "no such file"}},
		"nkey":         {natsconn.Settings{NkeyFile: none}, []string{"nats nkey " + none, "no such file"}},
		"nkey garbage": {natsconn.Settings{NkeyFile: garbage}, []string{"nats nkey " + garbage}},
		"password":     {natsconn.Settings{User: "a", PasswordFile: none}, []string{"nats password: ", none, "no such file"}},
		"token":        {natsconn.Settings{TokenFile: none}, []string{"nats token: ", none, "no such file"}},
		"CA":           {natsconn.Settings{TLS: natsconn.TLS{CA: none}}, []string{"rootCA", none, "no such file"}},
		"CA garbage":   {natsconn.Settings{TLS: natsconn.TLS{CA: garbage}}, []string{"root certificate", garbage}},
		"certificate":  {natsconn.Settings{TLS: natsconn.TLS{Cert: none, Key: none}}, []string{"client certificate", none, "no such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.s.URL = s.URL
			nc, err := c.s.Connect("test")
			if err == nil {
				nc.Close()
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in: %v", want, err)
				}
			}
		})
	}
}

func TestPassword(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "ops", Password: "s3cret "}, {Username: "open", Password: ""}}
	})
	for _, c := range []struct {
		name, user, file, env string
		ok                    bool
	}{
		{"file", "ops", "s3cret ", "", true},
		{"file with a line end", "ops", "s3cret \n", "", true},
		{"file from Windows", "ops", "s3cret \r\n", "", true},
		{"file wins", "ops", "s3cret \n", "wrong", true},
		{"variable", "ops", "", "s3cret ", true},
		{"wrong", "ops", "s3cret", "", false},
		{"nothing", "ops", "", "", false},
		{"nobody", "", "", "s3cret ", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := natsconn.Settings{URL: s.URL, User: c.user}
			if c.file != "" {
				settings.PasswordFile = file(t, "password", c.file)
			}
			t.Setenv(natsconn.EnvPassword, c.env)
			if err := connect(t, settings); err == nil != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestToken(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) { o.Authorization = "t0ken" })
	t.Run("file", func(t *testing.T) {
		if err := connect(t, natsconn.Settings{URL: s.URL, TokenFile: file(t, "token", "t0ken\n")}); err != nil {
			t.Error(err)
		}
	})
	t.Run("variable", func(t *testing.T) {
		t.Setenv(natsconn.EnvToken, "t0ken")
		if err := connect(t, natsconn.Settings{URL: s.URL}); err != nil {
			t.Error(err)
		}
	})
	t.Run("none", func(t *testing.T) {
		if err := connect(t, natsconn.Settings{URL: s.URL}); err == nil || !strings.Contains(err.Error(), "connect to "+s.URL+": ") {
			t.Errorf("%v", err)
		}
	})
}

func TestNkey(t *testing.T) {
	kp, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := kp.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := kp.Seed()
	if err != nil {
		t.Fatal(err)
	}
	s := streamtest.Start(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} })
	if err := connect(t, natsconn.Settings{URL: s.URL, NkeyFile: file(t, "seed", string(seed)+"\n")}); err != nil {
		t.Error(err)
	}
}

// certificate makes one for 127.0.0.1 that is its own authority.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))),
		file(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AddCert(pair.Leaf)
	s := streamtest.Start(t, func(o *server.Options) {
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: authorities, ClientAuth: tls.RequireAndVerifyClientCert}
		o.TLSTimeout = 10
	})
	url := strings.Replace(s.URL, "tls://", "nats://", 1)
	if err := connect(t, natsconn.Settings{URL: url, TLS: natsconn.TLS{CA: cert, Cert: cert, Key: key}}); err != nil {
		t.Error(err)
	}
	if err := connect(t, natsconn.Settings{URL: url, TLS: natsconn.TLS{CA: cert}}); err == nil {
		t.Error("connected without a certificate")
	}
	if err := connect(t, natsconn.Settings{URL: url, TLS: natsconn.TLS{Cert: cert, Key: key}}); err == nil {
		t.Error("connected to a server that nobody vouches for")
	}
}

func TestServerThatComesLater(t *testing.T) {
	s := streamtest.Start(t)
	s.Stop()
	nc, err := natsconn.Settings{URL: "nats://127.0.0.1:1," + s.URL}.Connect("later", nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
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
	s := streamtest.Start(t, func(o *server.Options) { o.Users = []*server.User{{Username: "ops", Password: "s3cret"}} })
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
		if err := connect(t, natsconn.Settings{Context: name}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("connect with the nats context %q: ", name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
