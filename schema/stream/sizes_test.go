package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// account connects to an account with limits, as they are sold, on a server with some.
func account(t *testing.T, serverLimits, limits string) jetstream.JetStream {
	t.Helper()
	conf := natsconntest.File(t, "nats-server.conf", fmt.Sprintf(`
		listen: "127.0.0.1:-1", jetstream: { store_dir: %q, %s }
		accounts: { A: { users: [ {user: a, password: a} ], jetstream: { max_mem: 1MB, %s } } }`, t.TempDir(), serverLimits, limits))
	o, err := server.ProcessConfigFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	s := streamtest.Start(t, func(opts *server.Options) { *opts = *o; opts.NoSigs, opts.NoLog = true, true })
	return s.As("a", "a")
}

// total is what the streams of an account may take together.
func total(t *testing.T, js jetstream.JetStream) (bytes int64, n int) {
	t.Helper()
	infos := js.ListStreams(t.Context())
	for i := range infos.Info() {
		if i.Config.MaxBytes <= 0 {
			t.Errorf("stream %s has no limit", i.Config.Name)
		}
		bytes += i.Config.MaxBytes
		n++
	}
	return bytes, n
}

func TestSizesFitTheAccount(t *testing.T) {
	for name, c := range map[string]struct {
		server, account string
		sizes           stream.Sizes
		// most is what all may take together, least what the stream of events has at
		// least.
		most, least int64
		says        string
	}{
		"room for all": {
			server:  "max_file: 30GB",
			account: "max_file: 20GB",
			sizes:   stream.Sizes{},
			most:    5 * gib,
			least:   4 * gib,
		},
		"a limit is needed": {
			server:  "max_file: 30GB",
			account: "max_file: 20GB, max_bytes_required: true",
			sizes:   stream.Sizes{},
			most:    5 * gib,
			least:   4 * gib,
		},
		"a small account": {
			server:  "max_file: 30GB",
			account: "max_file: 1GB",
			sizes:   stream.Sizes{},
			most:    1 * gib,
			least:   600 << 20,
			says:    "this account, which may store 1GiB, has no room for more",
		},
		"a tiny account": {
			server:  "max_file: 30GB",
			account: "max_file: 16MB",
			sizes:   stream.Sizes{},
			most:    16 << 20,
			least:   4 << 20,
			says:    "has no room for more",
		},
		"small streams": {
			server:  "max_file: 30GB",
			account: "max_file: 20GB, disk_max_stream_bytes: 64MB",
			sizes:   stream.Sizes{},
			most:    512 << 20,
			least:   64 << 20,
			says:    "whose streams may take 64MiB each",
		},
		"a small server": {
			server:  "max_file: 256MB",
			account: "max_file: -1",
			sizes:   stream.Sizes{},
			most:    256 << 20,
			least:   64 << 20,
			says:    "the server (max_file_store) has no room for more",
		},
		"what is written": {
			server:  "max_file: 30GB",
			account: "max_file: 1GB",
			sizes:   stream.Sizes{Events: 800 << 20},
			most:    1 * gib,
			least:   800 << 20,
			says:    "no room for more",
		},
		"all that's written": {
			server:  "max_file: 30GB",
			account: "max_file: 20GB",
			sizes:   stream.Sizes{Events: 8 << 20, Alerts: 8 << 20, Parked: 8 << 20},
			most:    1 * gib,
			least:   8 << 20,
		},
	} {
		t.Run(name, func(t *testing.T) {
			js := account(t, c.server, c.account)
			var reported []string
			limits := stream.DefaultLimits()
			limits.Sizes = c.sizes
			limits.Report = func(text string) { reported = append(reported, text) }
			// The bridge is often first, and leaves room for the others.
			for _, ensure := range []func() error{
				func() error { return stream.EnsureEvents(t.Context(), js, limits) },
				func() error { return stream.EnsureAll(t.Context(), js, limits) },
			} {
				if err := ensure(); err != nil {
					t.Fatal(err)
				}
			}
			bytes, n := total(t, js)
			if n != len(stream.Names()) || bytes > c.most {
				t.Errorf("%d streams may take %v", n, schema.Size(bytes))
			}
			if got := settingsOf(t, js, stream.Events).MaxBytes; got < c.least {
				t.Errorf("the events may take %v", schema.Size(got))
			}
			if all := strings.Join(reported, "\n"); !strings.Contains(all, c.says) || c.says == "" && all != "" {
				t.Errorf("it says %q", all)
			}
		})
	}
}

func TestSizesThatCannotBe(t *testing.T) {
	js := account(t, "max_file: 30GB", "max_file: 1GB")
	limits := stream.DefaultLimits()
	limits.Sizes.Events = 2 << 30
	want := "create stream SUPERVISOR with at most 2GiB: nats: API error: code=500 err_code=10047 description=insufficient storage resources available; this account, which may store 1GiB, has no room for it: raise the limit, or make streams smaller with nats.streams"
	if err := stream.EnsureAll(t.Context(), js, limits); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	js = account(t, "max_file: 30GB", "max_file: 20GB, max_streams: 5")
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err == nil ||
		!strings.Contains(err.Error(), "this account may have 5 streams and has 0; 8 more are needed") {
		t.Errorf("%v", err)
	}
}

// Replicas that a single server cannot have are not there, and that is reported.
func TestReplicasOfASingleServer(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	limits := stream.DefaultLimits()
	limits.Replicas = 3
	var reported []string
	limits.Report = func(text string) { reported = append(reported, text) }
	if err := stream.EnsureAll(t.Context(), js, limits); err != nil {
		t.Fatal(err)
	}
	if len(reported) != len(stream.Names()) ||
		!strings.Contains(reported[0], "stream SUPERVISOR has 1 replica, not 3: this nats-server is in no cluster") {
		t.Errorf("%q", reported)
	}
}

// What one host sends stops no other: a stream or bucket that is full takes more, and
// drops the oldest.
func TestFullStreamsTakeMore(t *testing.T) {
	js := account(t, "max_file: 1GB", "max_file: 16MB")
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	for name, subject := range map[string]string{
		stream.Events: "supervisor.event.%d", stream.Alerts: "supervisor.alert.%d", stream.Parked: "supervisor.parked.%d",
		"KV_" + stream.StateBucket: "$KV.supervisor_state.a.b.%d", "KV_" + stream.AlertsBucket: "$KV.supervisor_alerts.a.b.c.%d",
	} {
		limit := settingsOf(t, js, name).MaxBytes
		n := int(2 * limit / (16 << 10))
		for i := range n {
			if _, err := js.Publish(t.Context(), fmt.Sprintf(subject, i), make([]byte, 16<<10)); err != nil {
				t.Fatalf("%s refuses message %d of %d: %v", name, i, n, err)
			}
		}
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if state := s.CachedInfo().State; state.LastSeq != uint64(n) || state.Bytes > uint64(limit) {
			t.Errorf("%s: %+v", name, state)
		}
		var refusal *stream.WriteError
		err = stream.TryWrite(t.Context(), js, name)
		if isFull := errors.As(err, &refusal) && refusal.Full; isFull != strings.HasPrefix(name, "KV_") {
			t.Errorf("%s is full: %v", name, err)
		}
	}
}
