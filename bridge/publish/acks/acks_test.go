package acks

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"supernats/bridge/publish/publishtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// wire is one connection's acks, and what came of its messages to the other end,
// which answers only where a test does.
type wire struct {
	*Ring
	nc   *nats.Conn
	came chan *nats.Msg
}

func newWire(tb testing.TB, s *streamtest.Server, timeout time.Duration, opts ...nats.Option) *wire {
	tb.Helper()
	w := &wire{came: make(chan *nats.Msg, 2*Window)}
	publishtest.Respond(tb, s.URL, func(_ int, m *nats.Msg) { w.came <- m })
	nc, err := nats.Connect(s.URL, append(opts, nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	w.nc, w.Ring = nc, New(nc, stream.Events, timeout)
	tb.Cleanup(w.Close)
	return w
}

// send publishes a message.
func (w *wire) send(tb testing.TB) uint64 {
	tb.Helper()
	n, err := w.Publish(publishtest.Message("id", nil))
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// sent publishes a message, and returns it as it came.
func (w *wire) sent(tb testing.TB) (uint64, *nats.Msg) {
	tb.Helper()
	n := w.send(tb)
	return n, <-w.came
}

// wait returns what became of a message.
func (w *wire) wait(tb testing.TB, n uint64) Answer {
	tb.Helper()
	select {
	case <-w.Await(n):
	case <-time.After(publishtest.Limit):
		tb.Fatalf("message %d has not ended after %v", n, publishtest.Limit)
	}
	got, ok := w.Take(n)
	if !ok {
		tb.Fatalf("message %d has not ended, though it woke", n)
	}
	return got
}

// respond answers a message, and waits until that has arrived.
func (w *wire) respond(tb testing.TB, m *nats.Msg, data []byte) {
	tb.Helper()
	if err := errors.Join(w.nc.Publish(m.Reply, data), w.nc.Flush()); err != nil {
		tb.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // from the library's queue to us
}

func (w *wire) pending(tb testing.TB, n uint64) {
	tb.Helper()
	if _, ok := w.Take(n); ok || w.Ended(n) {
		tb.Errorf("message %d has ended", n)
	}
	select {
	case <-w.Await(n):
		tb.Errorf("message %d woke", n)
	default:
	}
}

// An answer is read as the library's futures read it.
func TestAnswers(t *testing.T) {
	full := &jetstream.APIError{Code: 503, ErrorCode: 10077, Description: "maximum bytes exceeded"}
	for name, tc := range map[string]struct {
		data string
		want Answer
	}{
		"nothing":             {data: ``, want: Answer{Err: jetstream.ErrInvalidJSAck}},
		"no JSON":             {data: `thanks`, want: Answer{Err: jetstream.ErrInvalidJSAck}},
		"cut":                 {data: `{"stream":"SUPERVISOR","seq":12`, want: Answer{Err: jetstream.ErrInvalidJSAck}},
		"more after it":       {data: `{"stream":"SUPERVISOR","seq":12}}`, want: Answer{Err: jetstream.ErrInvalidJSAck}},
		"leading zero":        {data: `{"stream":"SUPERVISOR","seq":012}`, want: Answer{Err: jetstream.ErrInvalidJSAck}},
		"beyond 64 bits":      {data: `{"stream":"SUPERVISOR","seq":18446744073709551616}`, want: Answer{Err: jetstream.ErrInvalidJSAck}},
		"negative":            {data: `{"stream":"SUPERVISOR","seq":-1}`, want: Answer{Err: jetstream.ErrInvalidJSAck}},
		"no stream":           {data: `{"seq":1}`, want: Answer{Err: jetstream.ErrInvalidJSAck}},
		"empty stream":        {data: `{"stream":"","seq":1}`, want: Answer{Err: jetstream.ErrInvalidJSAck}},
		"error":               {data: `{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"SUPERVISOR","seq":0}`, want: Answer{Err: full}},
		"usual":               {data: `{"stream":"SUPERVISOR","seq":123}`, want: Answer{Stream: stream.Events, Seq: 123}},
		"largest":             {data: `{"stream":"SUPERVISOR","seq":18446744073709551615}`, want: Answer{Stream: stream.Events, Seq: 1<<64 - 1}},
		"none stored":         {data: `{"stream":"SUPERVISOR","seq":0}`, want: Answer{Stream: stream.Events}},
		"duplicate":           {data: `{"stream":"SUPERVISOR","seq":123,"duplicate": true}`, want: Answer{Stream: stream.Events, Seq: 123, Duplicate: true}},
		"duplicate, no space": {data: `{"stream":"SUPERVISOR","seq":123,"duplicate":true}`, want: Answer{Stream: stream.Events, Seq: 123, Duplicate: true}},
		"no duplicate":        {data: `{"stream":"SUPERVISOR","seq":123,"duplicate":false}`, want: Answer{Stream: stream.Events, Seq: 123}},
		"domain":              {data: `{"stream":"SUPERVISOR","domain":"hub","seq":123}`, want: Answer{Stream: stream.Events, Seq: 123}},
		"domain, duplicate":   {data: `{"stream":"SUPERVISOR","domain":"hub","seq":1,"duplicate": true}`, want: Answer{Stream: stream.Events, Seq: 1, Duplicate: true}},
		"another order":       {data: `{"seq":5,"stream":"SUPERVISOR","batch":"x"}`, want: Answer{Stream: stream.Events, Seq: 5}},
		"another stream":      {data: `{"stream":"ORDERS","seq":5}`, want: Answer{Stream: "ORDERS", Seq: 5}},
		"escaped":             {data: `{"stream":"\u0053UPERVISOR","seq":5}`, want: Answer{Stream: stream.Events, Seq: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&Ring{stream: stream.Events}).readAnswer(&nats.Msg{Data: []byte(tc.data)})
			if !errors.Is(got.Err, tc.want.Err) || apiCode(got.Err) != apiCode(tc.want.Err) {
				t.Errorf("error is %v, want %v", got.Err, tc.want.Err)
			}
			got.Err, tc.want.Err = nil, nil
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// cutAck reads what encoding/json reads.
func FuzzCutAck(f *testing.F) {
	for _, s := range []string{
		`{"stream":"SUPERVISOR","seq":123}`, `{"stream":"S","domain":"hub","seq":9999999999999999999,"duplicate": true}`,
		`{"stream":"` + "\xff" + `","seq":1}`, `{"stream":"\n","seq":1}`, `{"stream":"S","seq":01}`, `{"stream":"S","seq":1,"stream":"T"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if diff := diffCut(data); diff != "" {
			t.Errorf("%q: -encoding/json +ours:\n%s", data, diff)
		}
	})
}

func diffCut(data []byte) string {
	name, seq, duplicate, ok := cutAck(data)
	if !ok {
		return ""
	}
	return cmp.Diff(parseAck(data), Answer{Stream: string(name), Seq: seq, Duplicate: duplicate})
}

func TestCutAck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9_-]{1,9}`), rapid.String())
		data := fmt.Sprintf(`{"stream":"%s"%s,"seq":%s%s}`, text.Draw(t, "stream"),
			rapid.SampledFrom([]string{"", `,"domain":"hub"`, `,"domain":"`, `, "domain":"h"`}).Draw(t, "domain"),
			rapid.OneOf(rapid.StringMatching(`[0-9]{1,21}`), rapid.StringMatching(`-?[0-9.eE]{0,4}`)).Draw(t, "seq"),
			rapid.SampledFrom([]string{"", `,"duplicate":true`, `,"duplicate": true`, `,"duplicate":false`, `,"val":"1"`, `}`}).Draw(t, "duplicate"))
		if diff := diffCut([]byte(data)); diff != "" {
			t.Fatalf("%q: -encoding/json +ours:\n%s", data, diff)
		}
	})
}

// An answer belongs to the message whose number it has, to no other, and counts
// once.
func TestAcksNumbers(t *testing.T) {
	w := newWire(t, streamtest.Start(t), time.Minute, nats.CustomInboxPrefix("_INBOX_web1"))
	first, m1 := w.sent(t)
	second, m2 := w.sent(t)
	if !strings.HasPrefix(m1.Reply, "_INBOX_web1.") {
		t.Errorf("the answer goes to %s", m1.Reply)
	}
	w.respond(t, m2, publishtest.Ack(stream.Events, 1))
	w.pending(t, first)
	if got := w.wait(t, second); got.Seq != 2 || got.Err != nil {
		t.Errorf("the second message's answer is %+v", got)
	}
	prefix := strings.TrimSuffix(m1.Reply, strconv.FormatUint(first, 10))
	for _, token := range []string{"0", "-1", "+1", "x", "3", strconv.Itoa(Window), strconv.Itoa(Window + 1), "18446744073709551616"} {
		w.respond(t, &nats.Msg{Reply: prefix + token}, publishtest.Ack(stream.Events, 7))
	}
	w.respond(t, m2, publishtest.Ack(stream.Events, 8)) // it has been taken
	w.pending(t, first)
	w.respond(t, m1, publishtest.Ack(stream.Events, 2))
	w.respond(t, m1, []byte(`{"error":{"code":503,"err_code":10077}}`)) // it has ended
	if got := w.wait(t, first); got.Seq != 3 || got.Err != nil {
		t.Errorf("the first message's answer is %+v", got)
	}
	third, m3 := w.sent(t)
	w.respond(t, m1, publishtest.Ack(stream.Events, 9))
	w.pending(t, third)
	w.respond(t, m3, publishtest.Ack(stream.Events, 3))
	if got := w.wait(t, third); got.Seq != 4 {
		t.Errorf("the third message's answer is %+v", got)
	}
}

// A late answer is not taken for that of the message that has its place now.
func TestAcksLate(t *testing.T) {
	w := newWire(t, streamtest.Start(t), 300*time.Millisecond)
	begun := time.Now()
	n, late := w.sent(t)
	if got := w.wait(t, n); !errors.Is(got.Err, jetstream.ErrAsyncPublishTimeout) {
		t.Fatalf("without an answer it ended with %+v", got)
	}
	if took := time.Since(begun); took < w.timeout || took > 10*w.timeout {
		t.Errorf("it ended after %v, not %v", took, w.timeout)
	}
	w.mu.Lock()
	w.timeout = time.Minute
	w.mu.Unlock()
	var msgs []*nats.Msg
	for range Window {
		_, m := w.sent(t)
		msgs = append(msgs, m)
	}
	if _, err := w.Publish(publishtest.Message("id", nil)); !errors.Is(err, errRingFull) {
		t.Errorf("one message more than a window: %v", err)
	}
	w.respond(t, late, publishtest.Ack(stream.Events, 99))
	w.pending(t, n+Window)
	for i, m := range msgs {
		if err := w.nc.Publish(m.Reply, publishtest.Ack(stream.Events, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range msgs {
		if got := w.wait(t, n+1+uint64(i)); got.Seq != uint64(i)+1 {
			t.Fatalf("answer %d is %+v", i, got)
		}
	}
}

// Each message has its own time limit.
func TestAcksTimeout(t *testing.T) {
	w := newWire(t, streamtest.Start(t), 500*time.Millisecond)
	first, _ := w.sent(t)
	answered, m := w.sent(t)
	time.Sleep(250 * time.Millisecond)
	begun := time.Now()
	last, _ := w.sent(t)
	w.respond(t, m, publishtest.Ack(stream.Events, 0))
	if got := w.wait(t, answered); got.Err != nil {
		t.Error(got.Err)
	}
	if got := w.wait(t, first); !errors.Is(got.Err, jetstream.ErrAsyncPublishTimeout) {
		t.Errorf("the first message ended with %+v", got)
	}
	w.pending(t, last)
	if got := w.wait(t, last); !errors.Is(got.Err, jetstream.ErrAsyncPublishTimeout) {
		t.Errorf("the last message ended with %+v", got)
	}
	if took := time.Since(begun); took < w.timeout {
		t.Errorf("it ended after %v", took)
	}
	again, _ := w.sent(t) // the timer had run out
	if got := w.wait(t, again); !errors.Is(got.Err, jetstream.ErrAsyncPublishTimeout) {
		t.Errorf("a message after a pause ended with %+v", got)
	}
}

// Everything in flight ends with the connection; over the next one it continues.
func TestAcksDisconnected(t *testing.T) {
	for name, cut := range map[string]func(s *streamtest.Server, w *wire){
		"reconnecting": func(s *streamtest.Server, _ *wire) { s.Stop() },
		"closed":       func(_ *streamtest.Server, w *wire) { w.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := streamtest.Start(t)
			w := newWire(t, s, time.Minute)
			var numbers []uint64
			for range 100 {
				n, _ := w.sent(t)
				numbers = append(numbers, n)
			}
			cut(s, w)
			for _, n := range numbers {
				if got := w.wait(t, n); !errors.Is(got.Err, nats.ErrDisconnected) {
					t.Fatalf("message %d ended with %+v", n, got)
				}
			}
			if _, err := w.Publish(publishtest.Message("id", nil)); err == nil {
				t.Error("a message was published without a connection")
			}
			if name == "closed" {
				return
			}
			s.Restart()
			publishtest.WaitFor(t, w.nc.IsConnected)
			n := w.send(t)
			select {
			case m := <-w.came:
				w.respond(t, m, publishtest.Ack(stream.Events, 0))
				if got := w.wait(t, n); got.Err != nil {
					t.Error(got.Err)
				}
			case <-w.Await(n): // the other end is not back yet
				if got := w.wait(t, n); !errors.Is(got.Err, jetstream.ErrNoStreamResponse) {
					t.Errorf("it ended with %+v", got)
				}
			}
		})
	}
}

// If nothing subscribes to the subject, that is reported at once.
func TestAcksNoResponders(t *testing.T) {
	s := streamtest.Start(t)
	w := newWire(t, s, time.Minute)
	n, err := w.Publish(&nats.Msg{Subject: "nobody.listens"})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.wait(t, n); !errors.Is(got.Err, jetstream.ErrNoStreamResponse) {
		t.Errorf("it ended with %+v", got)
	}
}

// Nobody waits for a message that was not sent, or for an unknown number.
func TestAcksNotSent(t *testing.T) {
	w := newWire(t, streamtest.Start(t), time.Minute)
	for range Window + 1 {
		if _, err := w.Publish(publishtest.Message("id", make([]byte, 2<<20))); !errors.Is(err, nats.ErrMaxPayload) {
			t.Fatal(err)
		}
	}
	for _, n := range []uint64{0, 1, Window, Window + 1, 1 << 40} {
		if <-w.Await(n); !w.Ended(n) {
			t.Errorf("message %d is waited for", n)
		}
		if got, ok := w.Take(n); ok {
			t.Errorf("message %d has the answer %+v", n, got)
		}
	}
}

// BenchmarkPublish publishes messages of 500 bytes to something that answers at
// once, and waits as a session does.
func BenchmarkPublish(b *testing.B) {
	data := make([]byte, 500)
	for name, publish := range map[string]func(b *testing.B, nc *nats.Conn){
		"acks": func(b *testing.B, nc *nats.Conn) {
			a := New(nc, stream.Events, time.Minute)
			defer a.Close()
			oldest := uint64(1)
			for b.Loop() {
				n, err := a.Publish(publishtest.Message("id", data))
				if err != nil {
					b.Fatal(err)
				}
				if n-oldest < Window-1 {
					continue
				}
				for <-a.Await(n - Window/2); oldest <= n-Window/2; oldest++ {
					if got, _ := a.Take(oldest); got.Err != nil || got.Stream != stream.Events {
						b.Fatalf("%+v", got)
					}
				}
			}
		},
		"futures": func(b *testing.B, nc *nats.Conn) {
			js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(time.Minute), jetstream.WithPublishAsyncMaxPending(1<<20))
			if err != nil {
				b.Fatal(err)
			}
			var queue []jetstream.PubAckFuture
			for b.Loop() {
				f, err := js.PublishMsgAsync(publishtest.Message("id", data), jetstream.WithRetryAttempts(0))
				if err != nil {
					b.Fatal(err)
				}
				if queue = append(queue, f); len(queue) < Window {
					continue
				}
				for _, f := range queue[:Window/2] {
					select {
					case <-f.Ok():
					case err := <-f.Err():
						b.Fatal(err)
					}
				}
				queue = queue[Window/2:]
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := streamtest.Start(b)
			publishtest.Respond(b, s.URL, func(i int, m *nats.Msg) { _ = m.Respond(publishtest.Ack(stream.Events, i)) })
			nc, err := nats.Connect(s.URL)
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			b.ReportAllocs()
			publish(b, nc)
		})
	}
}
