package natsconn_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/natsconn"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// names are the streams of a server's own JetStream.
func names(t *testing.T, s *streamtest.Server) (list []string) {
	t.Helper()
	l := s.JetStream().StreamNames(t.Context())
	for n := range l.Name() {
		list = append(list, n)
	}
	return list
}

// A domain and a prefix, of the settings or of a context, are where everything is
// created and written.
func TestJetStreamOfAnotherDomain(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	context := func(text string, args ...any) natsconn.Settings {
		file := filepath.Join(config, "nats", "context", "edge.json")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, fmt.Appendf(nil, text, args...), 0o600); err != nil {
			t.Fatal(err)
		}
		return natsconn.Settings{Context: "edge"}
	}
	for name, settings := range map[string]func(leaf string) natsconn.Settings{
		"domain": func(leaf string) natsconn.Settings { return natsconn.Settings{URL: leaf, Domain: "hub"} },
		"prefix": func(leaf string) natsconn.Settings { return natsconn.Settings{URL: leaf, APIPrefix: "$JS.hub.API"} },
		"domain of a context": func(leaf string) natsconn.Settings {
			return context(`{"url":%q,"jetstream_domain":"hub"}`, leaf)
		},
		"prefix of a context": func(leaf string) natsconn.Settings {
			return context(`{"url":%q,"jetstream_api_prefix":"$JS.hub.API"}`, leaf)
		},
	} {
		t.Run(name, func(t *testing.T) {
			hub, leaf := streamtest.HubAndLeaf(t)
			s := settings(leaf.URL)
			nc, err := s.Connect("test")
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			js, err := s.JetStream(nc)
			if err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				if err = stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err == nil {
					break
				}
				if time.Now().After(end) {
					t.Fatal(err)
				}
			}

			// As the daemon writes a record, and reads it.
			if _, err := js.Publish(t.Context(), stream.KeySubject(js, stream.StateBucket, "a.b.c"), []byte("{}")); err != nil {
				t.Errorf("a record: %v", err)
			}
			kv, err := js.KeyValue(t.Context(), stream.StateBucket)
			if err != nil {
				t.Fatal(err)
			}
			if e, err := kv.Get(t.Context(), "a.b.c"); err != nil || string(e.Value()) != "{}" {
				t.Errorf("the record: %v, %v", e, err)
			}
			if err := stream.TryWrites(t.Context(), js); err != nil {
				t.Errorf("writes: %v", err)
			}
			if n := len(names(t, hub)); n != len(stream.Names()) {
				t.Errorf("the hub has %d streams", n)
			}
			if n := names(t, leaf); len(n) > 0 {
				t.Errorf("the leaf has %q", n)
			}
		})
	}
}

func TestPlaceThatCannotBe(t *testing.T) {
	for want, s := range map[string]natsconn.Settings{
		"nats: domain a and api-prefix b are set: want one of them":       {Domain: "a", APIPrefix: "b"},
		`nats: domain "a.b": want a name without dots, spaces, * and >`:   {Domain: "a.b"},
		`nats: api-prefix "JS.>": want a subject without spaces, * and >`: {APIPrefix: "JS.>"},
	} {
		if err := s.Check(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	file := natsconn.Settings{URL: "a", Domain: "hub"}
	if got := file.With(natsconn.Settings{URL: "b"}); got.Domain != "" {
		t.Errorf("another server has the domain of the first: %+v", got)
	}
	if got := file.With(natsconn.Settings{APIPrefix: "x"}); got.Domain != "" || got.APIPrefix != "x" {
		t.Errorf("%+v", got)
	}
}

// What a context says in a way that we do not know is an error, and not passed over.
func TestContextWithForeignCredentials(t *testing.T) {
	config := t.TempDir()
	for text, want := range map[string]string{
		`{"url":"x","nsc":"nsc://o/a/u"}`: "found nsc, want user, creds, nkey or token",
		`{"url":"x","user_jwt":"ey"}`:     "found user_jwt, want",
	} {
		file := filepath.Join(config, "c.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := (natsconn.Settings{Context: file}).Connect("test"); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A server that expects TLS before anything else is found out by itself, where TLS
// is asked for; one that speaks first is served as ever.
func TestTLSFirst(t *testing.T) {
	ways := natsconntest.Ways(t)
	plain, mutual := ways["TLS"], ways["mutual TLS"]
	said := plain
	said.Right.TLS.First = true
	for name, c := range map[string]struct {
		way    natsconntest.Way
		first  bool
		scheme string
	}{
		"found out by the URL": {way: plain, first: true, scheme: "tls"},
		"found out by the CA":  {way: plain, first: true, scheme: "nats"},
		"with a certificate":   {way: mutual, first: true, scheme: "tls"},
		"said":                 {way: said, first: true, scheme: "nats"},
		"the server is first":  {way: plain, scheme: "tls"},
		"first, a certificate": {way: mutual, scheme: "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := streamtest.Start(t, c.way.Serve, func(o *server.Options) { o.TLSHandshakeFirst = c.first })
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			u.Scheme = c.scheme
			settings := c.way.Right
			settings.URL = u.String()
			nc, err := settings.Connect("test", nats.ReconnectWait(20*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			for range 2 { // and again after a restart
				for end := time.Now().Add(20 * time.Second); !nc.IsConnected(); time.Sleep(10 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("it does not connect: %v", nc.LastError())
					}
				}
				if state, err := nc.TLSConnectionState(); err != nil || len(state.PeerCertificates) == 0 {
					t.Errorf("no TLS: %v", err)
				}
				js, err := jetstream.New(nc)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := js.AccountInfo(t.Context()); err != nil {
					t.Error(err)
				}
				s.Stop()
				s.Restart()
				for end := time.Now().Add(10 * time.Second); nc.IsConnected() && time.Now().Before(end) &&
					nc.Stats().Reconnects == 0; time.Sleep(10 * time.Millisecond) {
				}
			}
		})
	}
	t.Run("of another authority", func(t *testing.T) {
		s := streamtest.Start(t, plain.Serve, func(o *server.Options) { o.TLSHandshakeFirst = true })
		err := connect(t, natsconn.Settings{
			URL: strings.Replace(s.URL, "nats://", "tls://", 1), TLS: plain.Wrong["another authority"].TLS,
		})
		if err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
			t.Errorf("%v", err)
		}
	})
}
