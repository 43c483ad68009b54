package publish

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/publish/publishtest"
	"supernats/bridge/publish/rivals"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// shortWindow is the least that a stream's duplicate window can be.
const shortWindow = 100 * time.Millisecond

// fenced adds the fence of host web1; again counts how often it was passed.
func fenced(again *atomic.Int64) func(*Config) {
	var n atomic.Int64
	return func(c *Config) {
		c.Ensure = noStream
		c.Fence = &Fence{
			Record: func() (*nats.Msg, error) {
				return &nats.Msg{
					Subject: "supervisor.bridge.web1.reconnect", Data: []byte("{}"),
					Header: nats.Header{nats.MsgIdHdr: {fmt.Sprintf("fence/%d/%d", n.Add(1), time.Now().UnixNano())}},
				}, nil
			},
			Consumer: "bridge_web1", Filter: "supervisor.*.web1.>",
			Replaced: func(m *nats.Msg) bool { return strings.HasPrefix(m.Subject, "supervisor.snapshot.") },
			Passed:   func() { again.Add(1) },
			Self:     rivals.Self{BootOf: func(string) string { return "" }},
		}
	}
}

// forgetful is a server whose stream remembers ids for shortWindow only.
func forgetful(tb testing.TB, change ...func(*server.Options)) (*streamtest.Server, jetstream.JetStream) {
	tb.Helper()
	s := streamtest.Start(tb, change...)
	js := s.JetStream()
	makeStream(tb, js)
	return s, js
}

func makeStream(tb testing.TB, js jetstream.JetStream) {
	tb.Helper()
	c := stream.EventsConfig(stream.DefaultLimits(), 1)
	c.Duplicates = shortWindow
	if _, err := js.CreateStream(context.Background(), c); err != nil {
		tb.Fatal(err)
	}
}

// link is a TCP proxy that loses what the server answers, or everything.
type link struct {
	net.Listener
	to   string
	deaf atomic.Bool // nothing of the server comes through

	mu    sync.Mutex
	conns []net.Conn
}

func newLink(tb testing.TB, url string) *link {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	k := &link{Listener: l, to: strings.TrimPrefix(url, "nats://")}
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.serve()
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		<-done
		k.cut()
	})
	return k
}

func (k *link) url() string { return "nats://" + k.Addr().String() }

func (k *link) serve() {
	var copying sync.WaitGroup
	defer copying.Wait()
	for {
		client, err := k.Accept()
		if err != nil {
			k.cut()
			return
		}
		up, err := net.Dial("tcp", k.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		k.mu.Lock()
		k.conns = append(k.conns, client, up)
		k.mu.Unlock()
		copying.Go(func() {
			_, _ = io.Copy(up, client)
			_ = up.(*net.TCPConn).CloseWrite() // the server takes what has come so far
		})
		copying.Go(func() {
			defer client.Close()
			buf := make([]byte, 32<<10)
			for {
				n, err := up.Read(buf)
				if err != nil {
					return
				}
				if k.deaf.Load() {
					continue
				}
				if _, err := client.Write(buf[:n]); err != nil {
					return
				}
			}
		})
	}
}

// cut ends all connections on the client's side.
func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := 0; i < len(k.conns); i += 2 {
		_ = k.conns[i].Close()
	}
	k.conns = nil
}

// events are the texts of the events stored, without our own records.
func events(tb testing.TB, js jetstream.JetStream) []string {
	tb.Helper()
	var all []string
	for _, m := range stored(tb, js) {
		if m.Subject() == publishtest.Subject {
			all = append(all, string(m.Data()))
		}
	}
	return all
}

// What the stream stored is not sent again if its acknowledgement was lost: after a cut and
// after a death, however long ago the duplicate window ended.
func TestStoredOnce(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			const n, lost, acked = 3000, 400, 1000
			s, js := forgetful(t)
			k := newLink(t, s.URL)
			src := numbered(n).allow(acked)
			var again atomic.Int64
			r := start(t, k.url(), src, fenced(&again))
			src.waitAcked(t, acked)
			k.deaf.Store(true)
			src.allow(acked + lost)
			publishtest.WaitFor(t, func() bool { return has(js, acked+lost) })
			if killed {
				r.cancel()
				_ = r.wait(t)
			}
			time.Sleep(3 * shortWindow)
			k.deaf.Store(false)
			k.cut()
			src.allow(n)
			if killed {
				_ = src.Rewind() // as a new process does
				r = start(t, k.url(), src, fenced(&again), func(c *Config) { c.Left, c.Seq = n-acked, src.seq })
			}
			if err := r.wait(t); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(numbers(0, n), events(t, js)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			if got := again.Load(); (got > 0) == killed {
				t.Errorf("reported %d times that it publishes again", got)
			}
			if killed {
				return
			}
			logged(t, r, "getting into JetStream again", 1)
		})
	}
}

// Cuts, deaf links, deaths and stalls at random, each longer than the window: all
// is stored once, in order.
func TestStoredOnceWhatever(t *testing.T) {
	const n = 20_000
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s, js := forgetful(t)
	k := newLink(t, s.URL)
	src := numbered(n).allow(0)
	var again atomic.Int64
	r := start(t, k.url(), src, fenced(&again))
	for sent := 0; sent < n; {
		sent = min(n, sent+rnd.IntN(1000))
		src.allow(sent)
		time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
		switch rnd.IntN(4) {
		case 0:
			k.deaf.Store(true)
			src.allow(min(n-1, sent+300))
			time.Sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
			time.Sleep(2 * shortWindow)
			k.deaf.Store(false)
			k.cut()
		case 1:
			k.cut()
		case 2:
			r.cancel()
			if err := r.wait(t); err == nil {
				break // it was done
			}
			k.cut()
			time.Sleep(time.Duration(rnd.IntN(int(2 * shortWindow))))
			_ = src.Rewind()
			r = start(t, k.url(), src, fenced(&again), func(c *Config) { c.Left, c.Seq = n-src.acked, src.seq })
		}
	}
	src.allow(n)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, n), events(t, js)); diff != "" {
		t.Errorf("seed %d: stored (-want +got):\n%s", seed, diff)
	}
}

// A stream that was created again holds nothing of what the one before held.
func TestStreamMadeAnew(t *testing.T) {
	const n = 2000
	s, js := forgetful(t)
	k := newLink(t, s.URL)
	src := numbered(n).allow(n / 2)
	var again atomic.Int64
	r := start(t, k.url(), src, fenced(&again))
	src.waitAcked(t, n/2)
	if err := js.DeleteStream(context.Background(), stream.Events); err != nil {
		t.Fatal(err)
	}
	makeStream(t, js)
	k.deaf.Store(true)
	src.allow(n/2 + 300)
	publishtest.WaitFor(t, func() bool { return has(js, 300) })
	time.Sleep(3 * shortWindow)
	k.deaf.Store(false)
	k.cut()
	src.allow(n)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(n/2, n), events(t, js)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// A consumer that a dead bridge left, with some of its messages delivered,
// is replaced.
func TestConsumerLeftBehind(t *testing.T) {
	ctx := context.Background()
	s, js := forgetful(t)
	for _, text := range numbers(0, 100) {
		if _, err := js.PublishMsg(ctx, publishtest.Message(text, []byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	left, err := js.CreateConsumer(ctx, stream.Events, jetstream.ConsumerConfig{
		Name: "bridge_web1", FilterSubject: "supervisor.*.web1.>", AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, MemoryStorage: true,
		InactiveThreshold: time.Hour,
	})
	if err == nil {
		_, err = left.FetchNoWait(50)
	}
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * shortWindow)
	var again atomic.Int64
	r := start(t, s.URL, numbered(200), fenced(&again), func(c *Config) { c.Left = 150 })
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, 200), events(t, js)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// Another listener of the same supervisord publishes under the same ids: what it
// stored is distinguished from what was never sent, and a duplicate of a first
// message is reported.
func TestTwoListeners(t *testing.T) {
	ctx := context.Background()
	s, js := forgetful(t)
	theirs := map[string]bool{}
	for i := 0; i < 100; i += 2 { // every other event, and some that we do not have
		for _, text := range []string{fmt.Sprint(i), fmt.Sprint(i + 1000)} {
			theirs[text] = true
			if _, err := js.PublishMsg(ctx, publishtest.Message(text, []byte(text))); err != nil {
				t.Fatal(err)
			}
		}
	}
	var again atomic.Int64
	r := start(t, s.URL, numbered(100), fenced(&again), func(c *Config) { c.Left = 100 })
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, text := range events(t, js) {
		count[text]++
	}
	for i := range 100 {
		if count[fmt.Sprint(i)] != 1 {
			t.Errorf("event %d is stored %d times", i, count[fmt.Sprint(i)])
		}
	}
	logged(t, r, "sent for the first time", 0)

	// Nothing in doubt: a duplicate is a collision.
	time.Sleep(2 * shortWindow)
	if _, err := js.PublishMsg(ctx, publishtest.Message("5", []byte("5 of somebody else"))); err != nil {
		t.Fatal(err)
	}
	r = start(t, s.URL, numbered(10), fenced(&again))
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	logged(t, r, "sent for the first time", 1)
}

// Without the right to read the stream publishing continues, with the duplicate window alone.
func TestNoRightToLook(t *testing.T) {
	s, js := forgetful(t, permitted(server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{"supervisor.>"}},
	}))
	var again atomic.Int64
	begun := time.Now()
	r := start(t, asHost(s), numbered(100), fenced(&again), func(c *Config) { c.Left = 100 })
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %v: the denial was not noticed", took)
	}
	if diff := cmp.Diff(numbers(0, 100), events(t, js)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	logged(t, r, "stored twice", 1)
}

// What the filter does not cover, and may be stored, is left to the newer one that follows.
func TestReplaced(t *testing.T) {
	s, js := forgetful(t)
	src := numbered(5)
	src.encode = func(rec []byte, _ int) ([]*nats.Msg, error) {
		m := publishtest.Message(string(rec), rec)
		m.Subject = "supervisor.snapshot.web1"
		return []*nats.Msg{m}, nil
	}
	var again atomic.Int64
	r := start(t, s.URL, src, fenced(&again), func(c *Config) { c.Left = 3 })
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range stored(t, js) {
		if m.Subject() != "supervisor.bridge.web1.reconnect" {
			got = append(got, string(m.Data()))
		}
	}
	if diff := cmp.Diff([]string{"3", "4"}, got); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// has reports whether the stream holds n messages, or more.
func has(js jetstream.JetStream, n int) bool {
	s, err := js.Stream(context.Background(), stream.Events)
	return err == nil && s.CachedInfo().State.Msgs >= uint64(n)
}
