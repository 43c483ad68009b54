package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
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
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// refusals checks that a publisher which the server refuses until fixed is called reports
// that once, with what fixes it, loses nothing and ends on its own.
func refusals(t *testing.T, r *running, says string, fixed func()) {
	t.Helper()
	r.log.wait(t, says)
	time.Sleep(500 * time.Millisecond) // for a few attempts
	fixed()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	logged(t, r, says, 1)
	logged(t, r, "getting into JetStream again", 1)
}

func TestStreamFull(t *testing.T) {
	for name, limit := range map[string]func(*jetstream.StreamConfig){
		"messages": func(c *jetstream.StreamConfig) { c.MaxMsgs = 100 },
		"bytes":    func(c *jetstream.StreamConfig) { c.MaxBytes = 10_000 },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			s := streamtest.Start(t)
			js := s.JetStream()
			c := stream.EventsConfig(stream.DefaultLimits(), 1)
			c.Discard = jetstream.DiscardNew
			limit(&c)
			if _, err := js.CreateStream(ctx, c); err != nil {
				t.Fatal(err)
			}
			r := start(t, s.URL, numbered(1000), func(c *Config) { c.Ensure = noStream })
			refusals(t, r, "nats stream edit SUPERVISOR --max-bytes", func() {
				c.MaxMsgs, c.MaxBytes = -1, -1
				if _, err := js.UpdateStream(ctx, c); err != nil {
					t.Fatal(err)
				}
			})
			if diff := cmp.Diff(numbers(0, 1000), texts(stored(t, js))); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// A server without JetStream is distinguished from one without the stream.
func TestJetStreamNotEnabled(t *testing.T) {
	dir := t.TempDir()
	s := streamtest.Start(t, func(o *server.Options) { o.JetStream = false })
	_, text, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "nats://"))
	port, _ := strconv.Atoi(text)
	r := start(t, s.URL, numbered(100))
	var js jetstream.JetStream
	refusals(t, r, "enable JetStream: nats-server -js", func() {
		s.Stop()
		js = streamtest.Start(t, func(o *server.Options) { o.Port, o.StoreDir = port, dir }).JetStream()
	})
	if diff := cmp.Diff(numbers(0, 100), texts(stored(t, js))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// What the server does not permit is reported at once, by its name, although a message that
// is denied gets no answer.
func TestPermissionDenied(t *testing.T) {
	for name, tc := range map[string]struct {
		may  server.Permissions
		says string
	}{
		"publish": {
			may:  server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"supervisor.event.web1.>"}}},
			says: publishtest.Subject,
		},
		"inbox": {
			may:  server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{"_INBOX.>"}}},
			says: "Subscription to",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := streamtest.Start(t, permitted(tc.may))
			js := s.JetStream()
			if err := stream.EnsureEvents(context.Background(), js, stream.DefaultLimits()); err != nil {
				t.Fatal(err)
			}
			src := numbered(100)
			begun := time.Now()
			r := start(t, asHost(s), src, func(c *Config) { c.Ensure = noStream })
			r.log.wait(t, "allow this user to publish")
			if took := time.Since(begun); took > ackTimeout/2 {
				t.Errorf("reported after %v", took)
			}
			time.Sleep(500 * time.Millisecond)
			logged(t, r, tc.says, 1)
			logged(t, r, "allow this user to publish", 1)
			if _, acked, rewinds := src.count(); acked > 0 || rewinds < 1 {
				t.Errorf("%d records are acknowledged, %d tries", acked, rewinds)
			}
		})
	}
}

// smallStream is a stream that takes messages of 5000 bytes, and the URL of somebody
// who may publish, and ask for its settings or not.
func smallStream(t *testing.T, mayAsk bool) (url string, js jetstream.JetStream, c jetstream.StreamConfig) {
	t.Helper()
	deny := []string{"$JS.API.>"}
	if mayAsk {
		deny = []string{"nothing"}
	}
	s := streamtest.Start(t, permitted(server.Permissions{Publish: &server.SubjectPermission{Deny: deny}}))
	js = s.JetStream()
	c = stream.EventsConfig(stream.DefaultLimits(), 1)
	c.MaxMsgSize = 5000
	if _, err := js.CreateStream(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return asHost(s), js, c
}

// dividing divides records that begin with d.
func dividing(rec []byte, limit int) ([]*nats.Msg, error) {
	const room = 500 // for headers
	if len(rec) <= limit-room {
		return []*nats.Msg{publishtest.Message(string(rec[:4]), rec)}, nil
	}
	if rec[0] != 'd' {
		return nil, fmt.Errorf("%w: record of %d bytes for messages of %d", ErrTooLarge, len(rec), limit)
	}
	var msgs []*nats.Msg
	for i := 0; i < len(rec); i += limit - room {
		msgs = append(msgs, publishtest.Message(fmt.Sprintf("part %d of %d", i, len(rec)), rec[i:min(len(rec), i+limit-room)]))
	}
	return msgs, nil
}

// A stream that takes only small messages gets parts. What cannot be divided is reported and
// skipped, but not before the stream has refused it.
func TestTooBig(t *testing.T) {
	for _, mayAsk := range []bool{true, false} {
		t.Run(fmt.Sprintf("may ask=%v", mayAsk), func(t *testing.T) {
			url, js, _ := smallStream(t, mayAsk)
			big := strings.Repeat("x", 20_000)
			fits := strings.Repeat("y", 4000)
			src := newSource("small", "divided "+big, "tiny", "whole "+big, fits, "last")
			var lost []int
			var troubles troubleLog
			src.encode = dividing
			r := start(t, url, src, troubles.watch, func(c *Config) {
				c.Lost = func(rec Record, err error) {
					lost = append(lost, rec.Size())
					if !errors.Is(err, ErrTooLarge) {
						t.Errorf("lost for %v", err)
					}
				}
			})
			if err := r.wait(t); err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Join(texts(stored(t, js)), ""), "smalldivided "+big+"tiny"+fits+"last"; got != want {
				t.Errorf("stored %.100s… of %d bytes, want %.100s… of %d", got, len(got), want, len(want))
			}
			if diff := cmp.Diff([]int{len("whole ") + len(big)}, lost); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"+message-too-large"}, troubles.all()); diff != "" {
				t.Errorf("troubles (-want +got):\n%s", diff)
			}
		})
	}
}

// The stream's limit may change in either direction, without notice.
func TestSizeChanges(t *testing.T) {
	for _, mayAsk := range []bool{true, false} {
		t.Run(fmt.Sprintf("may ask=%v", mayAsk), func(t *testing.T) {
			url, js, c := smallStream(t, mayAsk)
			change := func(size int32) {
				c.MaxMsgSize = size
				if _, err := js.UpdateStream(context.Background(), c); err != nil {
					t.Fatal(err)
				}
			}
			var recs []string
			for i := range 4 {
				recs = append(recs, fmt.Sprintf("d%d ", i)+strings.Repeat("x", 20_000+i))
			}
			src := newSource(recs...).allow(1)
			src.encode = dividing
			r := start(t, url, src)
			most := func() int {
				largest := 0
				for _, m := range stored(t, js) {
					largest = max(largest, len(m.Data()))
				}
				return largest
			}
			src.waitAcked(t, 1)
			change(2500)
			src.allow(2)
			src.waitAcked(t, 2)
			r.sizes.every.Store(int64(time.Nanosecond))
			change(-1)
			src.allow(3)
			src.waitAcked(t, 3)
			src.allow(4)
			src.waitAcked(t, 4)
			if got := most(); got != len(recs[3]) && got != len(recs[2]) {
				t.Errorf("the largest message has %d bytes", got)
			}
			if got := strings.Join(texts(stored(t, js)), ""); got != strings.Join(recs, "") {
				t.Errorf("stored %d bytes, want %d", len(got), len(strings.Join(recs, "")))
			}
		})
	}
}

// Where nothing of ours is small enough, records wait, with a pause between attempts.
func TestNothingSmallEnough(t *testing.T) {
	url, js, c := smallStream(t, true)
	c.MaxMsgSize = 200
	if _, err := js.UpdateStream(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	var troubles troubleLog
	src := newSource("small", "whole "+strings.Repeat("x", 300), "last")
	tries := 0
	src.encode = func(rec []byte, limit int) ([]*nats.Msg, error) {
		tries++
		if len(rec) > limit {
			return nil, ErrTooLarge
		}
		return []*nats.Msg{publishtest.Message(string(rec), rec)}, nil
	}
	r := start(t, url, src, troubles.watch)
	src.waitAcked(t, 1)
	time.Sleep(time.Second)
	c.MaxMsgSize = -1
	if _, err := js.UpdateStream(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if tries > 30 {
		t.Errorf("%d tries", tries)
	}
	if diff := cmp.Diff([]string{"+message-too-large", "-message-too-large"}, troubles.all()); diff != "" {
		t.Errorf("troubles (-want +got):\n%s", diff)
	}
}

// troubleLog is what a publisher reported: +cause and -cause, without repetitions.
type troubleLog struct {
	mu   sync.Mutex
	said []string
	text map[string]string
}

func (l *troubleLog) watch(c *Config) {
	c.Raise = func(cause, text, fix string) {
		l.say("+" + cause)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.text == nil {
			l.text = map[string]string{}
		}
		l.text[cause] = text + "; " + fix
	}
	c.Clear = func(cause string) { l.say("-" + cause) }
}

func (l *troubleLog) say(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := ""
	for _, s := range l.said {
		if s[1:] == what[1:] {
			last = s
		}
	}
	if last != what && (last != "" || what[0] == '+') {
		l.said = append(l.said, what)
	}
}

func (l *troubleLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.said)
}

// A record that is sent again in other parts than before, since the limit changed between
// them, is stored whole: the parts of one division are not taken for those of another.
func TestDividedAgain(t *testing.T) {
	url, js, c := smallStream(t, true)
	big := "d " + strings.Repeat("x", 40_000)
	tries := 0
	src := newSource("small", big, "last")
	src.encode = func(rec []byte, limit int) ([]*nats.Msg, error) {
		if len(rec) < 1000 {
			return dividing(rec, limit)
		}
		if tries++; tries == 1 {
			// The first part fits, the second is refused by then.
			c.MaxMsgSize = 2000
			first := publishtest.Message("id/1", rec[:1000])
			second := publishtest.Message("id/2", rec[1000:4000])
			if _, err := js.UpdateStream(context.Background(), c); err != nil {
				t.Error(err)
			}
			return []*nats.Msg{first, second}, nil
		}
		var msgs []*nats.Msg
		for i := 0; i < len(rec); i += limit - 500 {
			msgs = append(msgs, publishtest.Message(fmt.Sprint("id/", len(msgs)+1), rec[i:min(len(rec), i+limit-500)]))
		}
		return msgs, nil
	}
	r := start(t, url, src)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(texts(stored(t, js)), ""), "small"+big[:1000]+big+"last"; got != want {
		t.Errorf("stored %d bytes, want %d", len(got), len(want))
	}
}

// While events are denied and the fence is not, no attempt asks for what a reconnect asks
// for: otherwise there would be one every few seconds, for ever.
func TestNothingWithoutProgress(t *testing.T) {
	s := streamtest.Start(t, permitted(server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{publishtest.Subject}},
	}))
	js := s.JetStream()
	makeStream(t, js)
	var again atomic.Int64
	var troubles troubleLog
	r := start(t, asHost(s), numbered(100), fenced(&again), troubles.watch, func(c *Config) { c.Left = 100 })
	r.log.wait(t, "allow this user to publish")
	time.Sleep(3 * time.Second)
	if n := len(stored(t, js)); again.Load() > 0 || n > 2 {
		t.Errorf("passed %d times, %d records of reconnects", again.Load(), n)
	}
	if diff := cmp.Diff([]string{"+nats-rights"}, troubles.all()); diff != "" {
		t.Errorf("troubles (-want +got):\n%s", diff)
	}
}
