package publish

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/publish/ids"
	"supernats/bridge/publish/publishtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// forgeable is a stream that remembers ids, and the URL of a host with the rights of
// examples/02-secure, or without those to look.
func forgeable(t *testing.T, mayLook bool) (url string, js jetstream.JetStream, requests *atomic.Int64) {
	t.Helper()
	allow := []string{"supervisor.event.web1.>", "supervisor.snapshot.web1", "supervisor.bridge.web1.>"}
	if mayLook {
		allow = append(allow, "$JS.API.CONSUMER.CREATE.SUPERVISOR.bridge_web1.supervisor.*.web1.>",
			"$JS.API.CONSUMER.MSG.NEXT.SUPERVISOR.bridge_web1", "$JS.API.CONSUMER.DELETE.SUPERVISOR.bridge_web1")
	}
	s := streamtest.Start(t, permitted(server.Permissions{
		Publish:   &server.SubjectPermission{Allow: allow},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}))
	js = s.JetStream()
	if _, err := js.CreateStream(context.Background(), stream.EventsConfig(stream.DefaultLimits(), 1)); err != nil {
		t.Fatal(err)
	}
	requests = new(atomic.Int64)
	if _, err := js.Conn().Subscribe("$JS.API.CONSUMER.CREATE.>", func(*nats.Msg) { requests.Add(1) }); err != nil {
		t.Fatal(err)
	}
	return asHost(s), js, requests
}

// forge publishes on a subject of another host with message ids of ours.
func forge(t *testing.T, js jetstream.JetStream, ids ...string) {
	t.Helper()
	for _, id := range ids {
		m := publishtest.Message(id, []byte("forged"))
		m.Subject = "supervisor.event.web2.-.-.tick.5"
		if _, err := js.PublishMsg(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// resentLog is what was reported as sent again.
type resentLog struct {
	mu  sync.Mutex
	ids []string
}

func (l *resentLog) watch(t *testing.T) func(*Config) {
	return func(c *Config) {
		c.Resent = func(id, as string) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.ids = append(l.ids, id)
			if !strings.HasPrefix(as, id+"/again/") || ids.WithoutAgain(as) != id {
				t.Errorf("%s was stored as %s", id, as)
			}
		}
	}
}

// Events whose ids somebody else used up are stored under other ids: all of them, once,
// whether or not they may have been sent before.
func TestForgedIDs(t *testing.T) {
	for _, mayLook := range []bool{true, false} {
		for _, left := range []int{0, 100} {
			t.Run(fmt.Sprintf("may look=%v,left=%d", mayLook, left), func(t *testing.T) {
				if left > 0 && !mayLook {
					t.Skip("what is in doubt cannot be distinguished from a duplicate then")
				}
				url, js, _ := forgeable(t, mayLook)
				forged := numbers(3, 40)
				forge(t, js, forged...)
				var again atomic.Int64
				var troubles troubleLog
				var resent resentLog
				r := start(t, url, numbered(100), fenced(&again), troubles.watch, resent.watch(t), func(c *Config) { c.Left = left })
				if err := r.wait(t); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(numbers(0, 100), sorted(events(t, js))); diff != "" {
					t.Errorf("stored (-want +got):\n%s", diff)
				}
				want := []string{"+id-taken"}
				if !mayLook {
					want, forged = []string{"+nats-look"}, nil
				}
				if diff := cmp.Diff(want, troubles.all()); diff != "" {
					t.Errorf("troubles (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(forged, resent.ids); diff != "" {
					t.Errorf("resent (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func sorted(s []string) []string {
	byNumber := map[string]int{}
	for _, text := range s {
		byNumber[text]++
	}
	var out []string
	for i := range 1000 {
		for range byNumber[fmt.Sprint(i)] {
			out = append(out, fmt.Sprint(i))
		}
	}
	return out
}

// Events that come one by one are stored in order.
func TestForgedInOrder(t *testing.T) {
	url, js, _ := forgeable(t, true)
	forge(t, js, numbers(3, 40)...)
	var again atomic.Int64
	src := numbered(50).allow(0)
	r := start(t, url, src, fenced(&again))
	for i := range 50 {
		src.allow(i + 1)
		src.waitAcked(t, i+1)
	}
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, 50), events(t, js)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// The id of the fence itself may be used up too.
func TestForgedFence(t *testing.T) {
	url, js, _ := forgeable(t, true)
	for _, text := range numbers(0, 50) {
		if _, err := js.PublishMsg(context.Background(), publishtest.Message(text, []byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	var again atomic.Int64
	r := start(t, url, numbered(100), fenced(&again), func(c *Config) {
		c.Left = 100
		c.Fence.Record = func() (*nats.Msg, error) {
			return &nats.Msg{Subject: "supervisor.bridge.web1.reconnect", Header: nats.Header{nats.MsgIdHdr: {"0"}}}, nil
		}
	})
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, 100), events(t, js)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// Another listener of the same supervisord makes a duplicate of every event: nothing is
// stored twice, nothing is reported, and the stream is not read for each.
func TestTrueDuplicatesAreCheap(t *testing.T) {
	const n = 3000
	url, js, requests := forgeable(t, true)
	src := numbered(n).allow(0)
	var again atomic.Int64
	var troubles troubleLog
	var duplicates atomic.Int64
	r := start(t, url, src, fenced(&again), troubles.watch, func(c *Config) { c.Duplicate = func() { duplicates.Add(1) } })
	for i := range n {
		text := fmt.Sprint(i)
		if _, err := js.PublishMsg(context.Background(), publishtest.Message(text, []byte(text))); err != nil {
			t.Fatal(err)
		}
		src.allow(i + 1)
		if i%1000 == 0 {
			time.Sleep(100 * time.Millisecond)
		}
	}
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, n), events(t, js)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if got := troubles.all(); len(got) > 0 {
		t.Errorf("troubles: %q", got)
	}
	if got := duplicates.Load(); got != n {
		t.Errorf("%d duplicates are counted, want %d", got, n)
	}
	if got := requests.Load(); got > 20 {
		t.Errorf("the stream was read %d times", got)
	}
	logged(t, r, "another listener of this supervisord", 1)
}

// An attack is noticed while another listener makes duplicates of everything.
func TestForgedAmongTrueDuplicates(t *testing.T) {
	url, js, _ := forgeable(t, true)
	for i, text := range numbers(0, 200) {
		if i%10 == 7 {
			forge(t, js, text)
		} else if _, err := js.PublishMsg(context.Background(), publishtest.Message(text, []byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	var again atomic.Int64
	var resent resentLog
	r := start(t, url, numbered(200), fenced(&again), resent.watch(t))
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(0, 200), sorted(events(t, js))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if len(resent.ids) != 20 {
		t.Errorf("resent: %q", resent.ids)
	}
}
