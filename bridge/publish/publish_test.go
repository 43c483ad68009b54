package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/publish/publishtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

func TestNewErrors(t *testing.T) {
	for name, without := range map[string]func(*Config){
		"Source":  func(c *Config) { c.Source = nil },
		"Connect": func(c *Config) { c.Connect = nil },
		"Ensure":  func(c *Config) { c.Ensure = nil },
		"Lost":    func(c *Config) { c.Lost = nil },
		"Stream":  func(c *Config) { c.Stream = "" },
	} {
		c := config("", numbered(1))
		without(&c)
		if _, err := New(c); err == nil {
			t.Errorf("without %s: no error", name)
		}
	}
}

// Each record is in the stream once and in order, however often the server goes
// away while they are published.
func TestServerRestarts(t *testing.T) {
	const n, restarts = 20_000, 5
	s := streamtest.Start(t)
	src := numbered(n).allow(0)
	r := start(t, s.URL, src)
	for i := range restarts {
		_, acked, _ := src.count()
		src.allow(acked + 3000) // and not all, so that the server stops in the middle
		src.waitAcked(t, acked+1+i*300)
		s.Stop()
		s.Restart()
	}
	src.allow(n)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, n), texts(stored(t, s.JetStream()))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if _, _, rewinds := src.count(); rewinds < 2 {
		t.Error("no record was in flight at any restart")
	}
}

// A connection that is closed for good is replaced: the stream refuses what it already holds.
func TestConnectionCut(t *testing.T) {
	const n = 5000
	s := streamtest.Start(t)
	src := numbered(n).allow(0)
	var mu sync.Mutex
	var conns []*nats.Conn
	r := start(t, s.URL, src, func(c *Config) {
		connect := c.Connect
		c.Connect = func(more ...nats.Option) (*nats.Conn, error) {
			nc, err := connect(more...)
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, nc)
			return nc, err
		}
	})
	src.allow(n / 2)
	src.waitAcked(t, 1)
	mu.Lock()
	conns[0].Close() // for good, as after a subject that is too long
	mu.Unlock()
	src.allow(n)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, n), texts(stored(t, s.JetStream()))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if len(conns) != 2 {
		t.Errorf("%d connections were made, not 2", len(conns))
	}
}

// When a server comes late everything waits for it.
func TestServerComesLater(t *testing.T) {
	s := streamtest.Start(t)
	s.Stop()
	src := numbered(1000)
	r := start(t, s.URL, src)
	r.log.wait(t, "connection refused")
	if handedOut, _, _ := src.count(); handedOut > 0 {
		t.Errorf("%d records were taken without a server", handedOut)
	}
	s.Restart()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, 1000), texts(stored(t, s.JetStream()))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	logged(t, r, "is nats-server running at --nats-url?", 1)
	logged(t, r, "getting into JetStream again", 1)
}

// logged fails if text is not n times in the log.
func logged(t *testing.T, r *running, text string, n int) {
	t.Helper()
	if got := strings.Count(r.log.String(), text); got != n {
		t.Errorf("%q is %d times in the log, not %d", text, got, n)
	}
}

// A stream that somebody deletes is created again; what it held is gone.
func TestStreamDeleted(t *testing.T) {
	const n = 3000
	ctx := context.Background()
	s := streamtest.Start(t)
	src := numbered(n).allow(n / 2)
	r := start(t, s.URL, src)
	src.waitAcked(t, n/2)
	js := s.JetStream()
	if err := js.DeleteStream(ctx, stream.Events); err != nil {
		t.Fatal(err)
	}
	src.allow(n)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(n/2, n), texts(stored(t, js))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	logged(t, r, "nats stream add SUPERVISOR", 1)
}

// A bridge that may not create a stream waits until somebody else creates it.
func TestStreamComesLater(t *testing.T) {
	ctx := context.Background()
	s := streamtest.Start(t)
	r := start(t, s.URL, numbered(1000), func(c *Config) { c.Ensure = noStream })
	r.log.wait(t, "nats stream add SUPERVISOR")
	js := s.JetStream()
	if err := stream.EnsureEvents(ctx, js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, 1000), texts(stored(t, js))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// The right to look for the stream is not needed to publish.
func TestEnsureFails(t *testing.T) {
	s := streamtest.Start(t)
	js := s.JetStream()
	if err := stream.EnsureEvents(context.Background(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	r := start(t, s.URL, numbered(10), func(c *Config) {
		c.Ensure = func(context.Context, jetstream.JetStream) error {
			return fmt.Errorf("look up stream: %w", nats.ErrPermissionViolation)
		}
	})
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, 10), texts(stored(t, js))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	logged(t, r, "allow this user to publish", 1)
}

// An answer of anything but our stream does not count.
func TestForeignResponder(t *testing.T) {
	for name, answer := range map[string]string{
		"another stream":  `{"stream":"ORDERS","seq":1}`,
		"no stream":       `{"seq":1}`,
		"not JetStream":   `thanks`,
		"nothing":         ``,
		"of another case": `{"stream":"supervisor","seq":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			const n = 300
			s := streamtest.Start(t)
			src := numbered(n)
			src.check = func(s *source) {
				if s.acked > 0 {
					t.Error("a record was acknowledged by a foreign responder")
				}
			}
			foreign := publishtest.Respond(t, s.URL, func(_ int, m *nats.Msg) { _ = m.Respond([]byte(answer)) })
			r := start(t, s.URL, src, func(c *Config) { c.Ensure = noStream })
			src.wait(t, func() bool { return src.rewinds >= 3 })
			logged(t, r, "find what else answers on supervisor.>", 1)
			src.mu.Lock()
			src.check = nil
			src.mu.Unlock()

			js := s.JetStream()
			if err := foreign.Unsubscribe(); err != nil {
				t.Fatal(err)
			}
			if err := stream.EnsureEvents(context.Background(), js, stream.DefaultLimits()); err != nil {
				t.Fatal(err)
			}
			if err := r.wait(t); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(numbers(0, n), texts(stored(t, js))); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// Where the stream does not allow a message its own time to live, the header is
// left out; where it does, it arrives.
func TestTTL(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		t.Run(fmt.Sprint(allowed), func(t *testing.T) {
			const n = 1000
			s := streamtest.Start(t)
			js := s.JetStream()
			c := stream.EventsConfig(stream.DefaultLimits(), 4)
			c.AllowMsgTTL = allowed
			if _, err := js.CreateStream(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			src := numbered(n)
			src.encode = func(rec []byte, _ int) ([]*nats.Msg, error) {
				m := publishtest.Message(string(rec), rec)
				m.Header.Set(stream.HeaderTTL, "3600s")
				return []*nats.Msg{m}, nil
			}
			r := start(t, s.URL, src)
			if err := r.wait(t); err != nil {
				t.Fatal(err)
			}
			msgs := stored(t, js)
			if diff := cmp.Diff(numbers(0, n), texts(msgs)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			want, warnings := "", 1
			if allowed {
				want, warnings = "3600s", 0
			}
			for _, m := range msgs {
				if got := m.Headers().Get(stream.HeaderTTL); got != want {
					t.Fatalf("message %s has a TTL of %q, not %q", m.Data(), got, want)
				}
			}
			logged(t, r, "--allow-msg-ttl", warnings)
		})
	}
}

// A record of which no messages can be made is reported and skipped; its neighbours are
// stored in order, and the end is reached.
func TestLost(t *testing.T) {
	const n, every = 1000, 7
	garbled := errors.New("record is malformed")
	bad := func(i int) bool { return i%every == 0 || i == n-1 || i == n-2 }
	s := streamtest.Start(t)
	src := numbered(n)
	var lost []string
	i := -1
	src.encode = func(rec []byte, most int) ([]*nats.Msg, error) {
		if i++; bad(i) {
			return nil, garbled
		}
		return encodeText(rec, most)
	}
	r := start(t, s.URL, src, func(c *Config) {
		c.Lost = func(rec Record, err error) {
			if !errors.Is(err, garbled) {
				t.Errorf("%s is lost for %v", textOf(rec), err)
			}
			lost = append(lost, textOf(rec))
		}
	})
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	var wantLost, want []string
	for i, text := range numbers(0, n) {
		if bad(i) {
			wantLost = append(wantLost, text)
		} else {
			want = append(want, text)
		}
	}
	if diff := cmp.Diff(wantLost, lost); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, texts(stored(t, s.JetStream()))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if _, acked, _ := src.count(); acked != n {
		t.Errorf("%d records are acknowledged, not %d", acked, n)
	}
}

// Messages are no larger than what the server takes.
func TestMaxPayload(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) { o.MaxPayload = 4096 })
	var asked []int
	src := newSource(strings.Repeat("a", 10_000))
	src.encode = func(rec []byte, most int) ([]*nats.Msg, error) {
		asked = append(asked, most)
		var msgs []*nats.Msg
		for part := range slices.Chunk(rec, most/2) {
			msgs = append(msgs, publishtest.Message(fmt.Sprint(len(msgs)), part))
		}
		return msgs, nil
	}
	r := start(t, s.URL, src)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{4096}, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if got := strings.Join(texts(stored(t, s.JetStream())), ""); got != strings.Repeat("a", 10_000) {
		t.Errorf("%d bytes are stored", len(got))
	}
}

// While the methods of a source fail nothing is lost, and nothing is stored twice.
func TestSourceFails(t *testing.T) {
	for name, fails := range map[string]map[string][]int{ // the calls that fail, from 1
		"Next":   {"Next": {1, 500, 1200, 1201}},
		"Ack":    {"Ack": {1, 3, 4}},
		"Rewind": {"Rewind": {1, 3, 4, 5}, "Next": {900}},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 2000
			s := streamtest.Start(t)
			src := numbered(n)
			broken := errors.New("input/output error")
			calls, failures := map[string]int{}, 0
			src.fail = func(method string) error {
				calls[method]++
				if slices.Contains(fails[method], calls[method]) {
					failures++
					return broken
				}
				return nil
			}
			r := start(t, s.URL, src)
			if err := r.wait(t); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(numbers(0, n), texts(stored(t, s.JetStream()))); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			if want := len(fails["Next"]) + len(fails["Ack"]) + len(fails["Rewind"]); failures != want {
				t.Errorf("the source failed %d times, not %d", failures, want)
			}
			logged(t, r, broken.Error(), strings.Count(r.log.String(), `"level":"warn"`))
		})
	}
}
