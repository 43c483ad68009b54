package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"supernats/bridge/publish/publishtest"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a spool in memory that hands out no more than it is allowed to.
type source struct {
	mu       sync.Mutex
	changed  sync.Cond
	recs     [][]byte
	allowed  int // so many of recs exist yet
	next     int
	acked    int
	seq      uint64 // of the last acknowledgement
	finished bool
	rewinds  int
	more     chan struct{}

	// check is called under the lock whenever something was handed out or
	// acknowledged; fail may return an error for a call of a method.
	check func(s *source)
	fail  func(method string) error
	// encode makes the messages of a record: encodeText, if a test does not change it.
	encode func(rec []byte, maxPayload int) ([]*nats.Msg, error)
}

// text is a record of a source: a Record.
type text struct {
	source *source
	text   []byte
}

func (r *text) Messages(maxPayload int) ([]*nats.Msg, error) {
	return r.source.encode(r.text, maxPayload)
}

func (r *text) Size() int { return len(r.text) }

// textOf is what a record holds.
func textOf(rec Record) string { return string(rec.(*text).text) }

func newSource(recs ...string) *source {
	s := &source{more: make(chan struct{}, 1), encode: encodeText}
	s.changed.L = &s.mu
	for _, r := range recs {
		s.recs = append(s.recs, []byte(r))
	}
	s.allowed, s.finished = len(recs), true
	return s
}

// numbered is n records that hold their number.
func numbered(n int) *source {
	recs := make([]string, n)
	for i := range recs {
		recs[i] = strconv.Itoa(i)
	}
	return newSource(recs...)
}

// allow makes the first n records exist; with all of them the source ends.
func (s *source) allow(n int) *source {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed, s.finished = n, n == len(s.recs)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s
}

// waitAcked waits until n records have been acknowledged.
func (s *source) waitAcked(tb testing.TB, n int) {
	tb.Helper()
	s.wait(tb, func() bool { return s.acked >= n })
}

// wait waits until done, which is called under the lock.
func (s *source) wait(tb testing.TB, done func() bool) {
	tb.Helper()
	await(tb, &s.changed, done, func() string {
		return fmt.Sprintf("%d of %d records were handed out, %d are acknowledged", s.next, len(s.recs), s.acked)
	})
}

// await waits until done. changed is signalled whenever something changes; done, and state,
// which describes it, are called under its lock.
func await(tb testing.TB, changed *sync.Cond, done func() bool, state func() string) {
	tb.Helper()
	late := false
	t := time.AfterFunc(publishtest.Limit, func() {
		changed.L.Lock()
		defer changed.L.Unlock()
		late = true
		changed.Broadcast()
	})
	defer t.Stop()

	changed.L.Lock()
	defer changed.L.Unlock()
	for !done() {
		if late {
			tb.Fatalf("after %v: %s", publishtest.Limit, state())
		}
		changed.Wait()
	}
}

func (s *source) count() (handedOut, acked, rewinds int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next, s.acked, s.rewinds
}

func (s *source) failed(method string) error {
	if s.fail == nil {
		return nil
	}
	return s.fail(method)
}

func (s *source) happened() {
	if s.check != nil {
		s.check(s)
	}
	s.changed.Broadcast()
}

func (s *source) Next() (Record, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.failed("Next"); err != nil {
		return nil, false, err
	}
	if s.next == s.allowed {
		if s.finished {
			return nil, false, io.EOF
		}
		return nil, false, nil
	}
	s.next++
	s.happened()
	return &text{s, s.recs[s.next-1]}, true, nil
}

func (s *source) More() <-chan struct{} { return s.more }

func (s *source) Ack(n int, seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq = seq
	if err := s.failed("Ack"); err != nil {
		return err
	}
	if s.acked += n; s.acked > s.next {
		panic("more records are acknowledged than were handed out")
	}
	s.happened()
	return nil
}

func (s *source) Rewind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rewinds++
	s.changed.Broadcast()
	if err := s.failed("Rewind"); err != nil {
		return err
	}
	s.next = s.acked
	return nil
}

// encodeText makes one message of a record: its text.
func encodeText(rec []byte, _ int) ([]*nats.Msg, error) {
	return []*nats.Msg{publishtest.Message(string(rec), rec)}, nil
}

// log is a zerolog output that can be waited for.
type log struct {
	mu      sync.Mutex
	changed sync.Cond
	text    bytes.Buffer
}

func newLog() *log {
	l := &log{}
	l.changed.L = &l.mu
	return l
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed.Broadcast()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wait waits until the log holds text.
func (l *log) wait(tb testing.TB, text string) {
	tb.Helper()
	await(tb, &l.changed,
		func() bool { return strings.Contains(l.text.String(), text) },
		func() string { return fmt.Sprintf("no %q in the log:\n%s", text, &l.text) })
}

// permitted adds a user host with permissions to a server; without a user everything is
// permitted.
func permitted(host server.Permissions) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "admin", Password: "admin"},
			{Username: "host", Password: "host", Permissions: &host},
		}
		o.NoAuthUser = "admin"
	}
}

// asHost returns the URL of a server for the user host.
func asHost(s *streamtest.Server) string {
	return strings.Replace(s.URL, "nats://", "nats://host:host@", 1)
}

// running is a publisher whose Run was called.
type running struct {
	*Publisher
	log    *log
	cancel context.CancelFunc
	done   chan error
}

func noStream(context.Context, jetstream.JetStream) error { return nil }

func ensure(ctx context.Context, js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return stream.EnsureEvents(ctx, js, stream.DefaultLimits())
}

func config(url string, src Source) Config {
	return Config{
		Source: src, Stream: stream.Events, Ensure: ensure, Lost: func(Record, error) {},
		Connect: func(more ...nats.Option) (*nats.Conn, error) {
			return natsconn.Settings{URL: url}.Connect("test", append(more,
				nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(10*time.Millisecond, 10*time.Millisecond))...)
		},
	}
}

// start publishes src to the server at url until it ends or the test does.
func start(tb testing.TB, url string, src Source, change ...func(*Config)) *running {
	tb.Helper()
	r := &running{log: newLog(), done: make(chan error, 1)}
	cfg := config(url, src)
	cfg.Log = zerolog.New(r.log)
	cfg.Lost = func(rec Record, err error) { tb.Errorf("record %q is lost: %v", textOf(rec), err) }
	for _, c := range change {
		c(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.Publisher = p
	r.cancel = cancel
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.done <- p.Run(ctx)
	}()
	tb.Cleanup(func() {
		cancel()
		<-ended
		if tb.Failed() {
			tb.Logf("log:\n%s", r.log)
		}
	})
	return r
}

// wait returns what Run returned.
func (r *running) wait(tb testing.TB) error {
	tb.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(publishtest.Limit):
		tb.Fatalf("Run did not return within %v; log:\n%s", publishtest.Limit, r.log)
		return nil
	}
}

// stored returns what the stream holds, in its order.
func stored(tb testing.TB, js jetstream.JetStream) []jetstream.Msg {
	tb.Helper()
	return streamtest.Stored(tb, js, stream.Events)
}

func texts(msgs []jetstream.Msg) []string {
	s := make([]string, len(msgs))
	for i, m := range msgs {
		s[i] = string(m.Data())
	}
	return s
}

// numbers is the texts of numbered records from..to-1.
func numbers(from, to int) []string {
	s := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		s = append(s, strconv.Itoa(i))
	}
	return s
}
