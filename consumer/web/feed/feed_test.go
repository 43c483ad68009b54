package feed

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/fleettest"
	"supernats/consumer/history"
	"supernats/schema"
	"supernats/schema/stream"
)

// run runs a feed of an installation.
func run(t *testing.T, f *fleettest.Fleet) *Feed {
	feed := New(func() jetstream.JetStream { return f.JS }, zerolog.Nop())
	t.Cleanup(f.Background(feed.Run))
	return feed
}

// pids are those of the events between two places that pass a filter.
func (f *Feed) pids(t *testing.T, after, through uint64, filter consumer.Filter) string {
	t.Helper()
	list, whole := f.Between(after, through, &filter)
	if !whole {
		return "not whole"
	}
	var pids []int
	for _, e := range list {
		pids = append(pids, e.Data.PID)
	}
	return fmt.Sprint(pids)
}

func crash(f *fleettest.Fleet, host string, pid int) uint64 {
	return f.Publish(f.Crash(func(e *schema.Event) { e.Host, e.PID = host, pid }))
}

// What comes while somebody follows is there, in order, for each filter; what came before is not.
func TestWhatComesIsThere(t *testing.T) {
	f := fleettest.New(t)
	crash(f, "web1", 1)
	begin := crash(f, "web1", 2)
	feed := run(t, f)
	stop := feed.Follow(begin)
	defer stop()

	crash(f, "web1", 3)
	f.PublishRaw("supervisor.event.web1.api.api=5F00.process_state.exited", "{")
	crash(f, "web2", 4)
	end := crash(f, "web1", 5)
	f.Until("all is read", func() bool { return feed.Last() == end })
	for _, c := range []struct {
		name           string
		after, through uint64
		filter         consumer.Filter
		want           string
	}{
		{name: "all", after: begin, through: end, want: "[3 4 5]"},
		{name: "of a host", after: begin, through: end, filter: consumer.Filter{Hosts: []string{"*1"}}, want: "[3 5]"},
		{name: "a part", after: begin + 1, through: end - 1, want: "[4]"},
		{name: "nothing newer", after: end, through: end, want: "[]"},
		{name: "of the future", after: end + 9, through: end, want: "[]"},
		{name: "before the beginning", after: begin - 1, through: end, want: "not whole"},
	} {
		if got := feed.pids(t, c.after, c.through, c.filter); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Nothing is read or held while nobody follows, and a new beginning is where the next one asks.
func TestNothingIsHeldForNobody(t *testing.T) {
	f := fleettest.New(t)
	feed := run(t, f)
	feed.Follow(0)()
	begin := crash(f, "web1", 1)
	stop := feed.Follow(begin - 1)
	f.Until("it is read", func() bool { return feed.Last() == begin })
	stop()
	if got := feed.pids(t, begin-1, begin, consumer.Filter{}); got != "not whole" {
		t.Errorf("held %s", got)
	}

	end := crash(f, "web1", 2)
	defer feed.Follow(begin)()
	f.Until("it is read", func() bool { return feed.Last() == end })
	if got := feed.pids(t, begin, end, consumer.Filter{}); got != "[2]" {
		t.Errorf("%s", got)
	}
}

// Who has asked for more than is held learns it, and the feed begins near the end.
func TestTooMuch(t *testing.T) {
	f := fleettest.New(t)
	var many []*schema.Event
	for range maxHeld + 10 {
		many = append(many, f.Event("TICK_5"))
	}
	f.Publish(many...)
	begin := crash(f, "web1", 1)

	feed := run(t, f)
	defer feed.Follow(1)()
	f.Until("it is near the end", func() bool { return feed.Last() >= begin })
	if got := feed.pids(t, 1, feed.Last(), consumer.Filter{}); got != "not whole" {
		t.Error(got)
	}
}

// What is held is bounded in number and in bytes: the oldest go first.
func TestWhatIsHeldIsBounded(t *testing.T) {
	for _, c := range []struct {
		name       string
		size, held int
	}{
		{name: "many", size: 10, held: maxHeld},
		{name: "large ones", size: maxBytes / 10, held: 10},
	} {
		feed := New(nil, zerolog.Nop())
		stop := feed.Follow(0)
		for seq := range uint64(maxHeld + 100) {
			feed.add(&history.Message{Seq: seq + 1, Data: make([]byte, c.size)}, feed.starts)
		}
		if len(feed.held) != c.held || feed.after != maxHeld+100-uint64(c.held) {
			t.Errorf("%s: %d held after %d", c.name, len(feed.held), feed.after)
		}
		stop()
		if feed.held != nil || feed.bytes != 0 {
			t.Errorf("%s: %d bytes are left", c.name, feed.bytes)
		}
	}
}

// Another stream of the same name has its own places: nobody is sent its events as the next.
func TestAStreamThatIsCreatedAgain(t *testing.T) {
	f := fleettest.New(t)
	for i := range 5 {
		crash(f, "web1", i)
	}
	feed := run(t, f)
	defer feed.Follow(4)()
	f.Until("it is read", func() bool { return feed.Last() == 5 })

	if err := f.JS.DeleteStream(t.Context(), stream.Events); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		crash(f, "web1", 10+i)
	}
	f.Until("the other one is read", func() bool { return feed.Last() == 9 })
	if got := feed.pids(t, 5, 9, consumer.Filter{}); got != "not whole" {
		t.Error(got)
	}
}

// A feed without a connection waits for one.
func TestWithoutAConnection(t *testing.T) {
	f := fleettest.New(t)
	begin := crash(f, "web1", 1)
	connected := make(chan struct{})
	feed := New(func() jetstream.JetStream {
		select {
		case <-connected:
			return f.JS
		default:
			return nil
		}
	}, zerolog.Nop())
	t.Cleanup(f.Background(func(ctx context.Context) error { return feed.Run(ctx) }))
	defer feed.Follow(begin - 1)()
	close(connected)
	f.Until("it is read", func() bool { return feed.Last() == begin })
	if got := feed.pids(t, begin-1, begin, consumer.Filter{}); got != "[1]" {
		t.Error(got)
	}
}
