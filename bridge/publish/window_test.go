package publish

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"supernats/bridge/publish/publishtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// No more is in flight than the window holds, and all of it is used.
func TestWindow(t *testing.T) {
	const large = 900 << 10
	for _, tc := range []struct {
		name    string
		size, n int
		most    int // records in flight
	}{
		{name: "many", size: 100, n: 3000, most: window},
		{name: "large", size: large, n: 40, most: windowBytes/large + 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := streamtest.Start(t)
			recs := make([]string, tc.n)
			for i := range recs {
				recs[i] = strings.Repeat(string(rune('a'+i%26)), tc.size)
			}
			src := newSource(recs...)
			peak := 0
			src.check = func(s *source) {
				if peak = max(peak, s.next-s.acked); s.acked == 0 && peak > 1 {
					t.Errorf("%d records are in flight before the stream has answered once", peak)
				}
			}
			// After the first message, which shows that it is there, the stream answers
			// nothing before half a window has arrived.
			var waiting []*nats.Msg
			seq := 0
			publishtest.Respond(t, s.URL, func(i int, m *nats.Msg) {
				if waiting = append(waiting, m); len(waiting) < tc.most/2 && i > 0 && i < tc.n-1 {
					return
				}
				for _, m := range waiting {
					_ = m.Respond(publishtest.Ack(stream.Events, seq))
					seq++
				}
				waiting = nil
			})
			src.encode = func(rec []byte, _ int) ([]*nats.Msg, error) { return []*nats.Msg{publishtest.Message("id", rec)}, nil }
			r := start(t, s.URL, src, func(c *Config) {
				c.Ensure = noStream
			})
			if err := r.wait(t); err != nil {
				t.Fatal(err)
			}
			if peak != tc.most {
				t.Errorf("%d records were in flight, not %d", peak, tc.most)
			}
			if _, acked, _ := src.count(); acked != tc.n {
				t.Errorf("%d records are acknowledged, not %d", acked, tc.n)
			}
			logged(t, r, "warn", 0)
		})
	}
}

// After a disconnect one message goes alone again, although nothing was in flight then: the
// stream may be coming up.
func TestWindowAfterDisconnect(t *testing.T) {
	const n, before = 300, 100
	s := streamtest.Start(t)
	k := newLink(t, s.URL)
	src := numbered(n).allow(before)
	var came atomic.Int64
	release := make(chan struct{})
	publishtest.Respond(t, s.URL, func(i int, m *nats.Msg) {
		if came.Add(1) == before+1 {
			<-release
		}
		_ = m.Respond(publishtest.Ack(stream.Events, i))
	})
	sent := make(chan struct{}, n)
	src.encode = func(rec []byte, most int) ([]*nats.Msg, error) {
		sent <- struct{}{}
		return encodeText(rec, most)
	}
	r := start(t, k.url(), src, func(c *Config) {
		c.Ensure = noStream
	})
	src.waitAcked(t, before)
	k.cut()
	time.Sleep(200 * time.Millisecond) // it connects again
	for len(sent) > 0 {
		<-sent
	}
	src.allow(n)
	publishtest.WaitFor(t, func() bool { return came.Load() > before })
	time.Sleep(200 * time.Millisecond)
	if got := len(sent); got != 1 {
		t.Errorf("%d messages are in flight before the stream has answered", got)
	}
	close(release)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
}

// A record of several messages is acknowledged when the last one is.
func TestParts(t *testing.T) {
	const n, parts = 200, 3
	s := streamtest.Start(t)
	src := numbered(n)
	var answered atomic.Int64 // messages that are stored
	src.check = func(s *source) {
		if got := int(answered.Load()); s.acked*parts > got {
			t.Errorf("%d records of %d messages are acknowledged, the stream has %d", s.acked, parts, got)
		}
	}
	var ids []string
	refused := map[string]bool{}
	publishtest.Respond(t, s.URL, func(_ int, m *nats.Msg) {
		id := m.Header.Get(nats.MsgIdHdr)
		// The middle part of some records is refused at first: everything from that
		// record on comes again, also its first part.
		if strings.HasSuffix(id, "00/2") && !refused[id] {
			refused[id] = true
			_ = m.Respond([]byte(`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`))
			return
		}
		if len(ids) > int(answered.Load()) {
			t.Error("counted wrong")
		}
		if !contains(ids, id) {
			ids = append(ids, id)
			answered.Add(1)
		}
		_ = m.Respond(publishtest.Ack(stream.Events, len(ids)))
	})
	src.encode = func(rec []byte, _ int) ([]*nats.Msg, error) {
		var msgs []*nats.Msg
		for i := range parts {
			msgs = append(msgs, publishtest.Message(fmt.Sprintf("%s/%d", rec, i+1), rec))
		}
		return msgs, nil
	}
	r := start(t, s.URL, src, func(c *Config) {
		c.Ensure = noStream
	})
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if _, acked, rewinds := src.count(); acked != n || rewinds != len(refused)+1 {
		t.Errorf("%d records are acknowledged in %d attempts, not %d in %d", acked, rewinds, n, len(refused)+1)
	}
	got := map[string]int{}
	for _, id := range ids {
		got[strings.Split(id, "/")[0]]++
	}
	want := map[string]int{}
	for _, id := range numbers(0, n) {
		want[id] = parts
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts stored (-want +got):\n%s", diff)
	}
	logged(t, r, "make room in the stream", 1)
}

func contains(ids []string, id string) bool {
	for i := len(ids) - 1; i >= 0; i-- {
		if ids[i] == id {
			return true
		}
	}
	return false
}

// While others need the processor records wait, but not for long, and those that come after
// the first ones do not wait again.
func TestGiveWay(t *testing.T) {
	s := streamtest.Start(t)
	src := numbered(1000).allow(0)
	var asked, busy atomic.Int64
	r := start(t, s.URL, src, func(c *Config) {
		c.GiveWay = func() bool {
			asked.Add(1)
			return busy.Load() > 0
		}
	})
	src.allow(100)
	src.waitAcked(t, 100)

	busy.Store(1)
	time.Sleep(2 * gather)
	begun := time.Now()
	src.allow(900)
	time.Sleep(giveWayMost / 2)
	if _, acked, _ := src.count(); acked > 100 {
		t.Errorf("%d records are stored, although others need the processor", acked)
	}
	src.waitAcked(t, 900)
	if took := time.Since(begun); took < giveWayMost/2 || took > 4*giveWayMost {
		t.Errorf("records waited for %v", took)
	}
	src.allow(1000)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if asked.Load() > 200 {
		t.Errorf("GiveWay was called %d times", asked.Load())
	}
}
