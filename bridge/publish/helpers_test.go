package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"supernats/schema/natsconn"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	subject = "supervisor.event.web1.-.-.tick.5"
	limit   = 30 * time.Second
)

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
}

func newSource(recs ...string) *source {
	s := &source{more: make(chan struct{}, 1)}
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
	late := false
	t := time.AfterFunc(limit, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.changed.Broadcast()
	})
	defer t.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !done() {
		if late {
			tb.Fatalf("waited %v in vain; %d of %d records were handed out, %d are acknowledged", limit, s.next, len(s.recs), s.acked)
		}
		s.changed.Wait()
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

func (s *source) Next() ([]byte, bool, error) {
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
	return s.recs[s.next-1], true, nil
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

// encode makes one message of a record: its text.
func encode(rec []byte, _ int) ([]*nats.Msg, error) {
	return []*nats.Msg{message(string(rec), rec)}, nil
}

func message(id string, data []byte) *nats.Msg {
	return &nats.Msg{Subject: subject, Data: data, Header: nats.Header{nats.MsgIdHdr: {id}}}
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
	late := false
	t := time.AfterFunc(limit, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		late = true
		l.changed.Broadcast()
	})
	defer t.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !strings.Contains(l.text.String(), text) {
		if late {
			tb.Fatalf("waited %v in vain for %q in the log:\n%s", limit, text, &l.text)
		}
		l.changed.Wait()
	}
}

// running is a publisher at work.
type running struct {
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
		Source: src, Stream: stream.Events, Ensure: ensure, Encode: encode, Lost: func([]byte, error) {},
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
	cfg.Lost = func(rec []byte, err error) { tb.Errorf("record %q is lost: %v", rec, err) }
	for _, c := range change {
		c(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
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
	case <-time.After(limit):
		tb.Fatalf("Run did not return within %v; log:\n%s", limit, r.log)
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

// responder answers on our subject in place of a stream; answer is called for
// each message in turn, from one goroutine.
func responder(tb testing.TB, url string, answer func(i int, m *nats.Msg)) *nats.Subscription {
	tb.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	i := 0
	sub, err := nc.Subscribe(subject, func(m *nats.Msg) {
		answer(i, m)
		i++
	})
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), nc.Flush())
	}
	if err != nil {
		tb.Fatal(err)
	}
	return sub
}

// ack is the answer of a stream.
func ack(name string, seq int) []byte {
	return fmt.Appendf(nil, `{"stream":%q,"seq":%d}`, name, seq+1)
}
