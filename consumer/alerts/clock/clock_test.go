package clock

import (
	"strings"
	"testing"
	"time"

	"supernats/consumer/rules"
)

var t0 = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

// What is due at one time fires by rank, then by key, then alerts before watches, whatever
// the order in which it was set.
func TestOrderOfTimers(t *testing.T) {
	low, high := &rules.Rule{Rank: 0}, &rules.Rule{Rank: 1}
	web1, web2 := rules.Key{Host: "web1"}, rules.Key{Host: "web2"}
	var c Clock
	var fired []string
	timer := func(name string, at time.Time, t Timer) *Timer {
		t.fire = func(time.Time) { fired = append(fired, name) }
		c.Set(&t, at)
		return &t
	}

	timer("high rank", t0, NewTimer(high, web1, nil))
	timer("watch", t0, NewWatch(low, web1, nil))
	timer("second key", t0, NewTimer(low, web2, nil))
	timer("first key", t0, NewTimer(low, web1, nil))
	timer("earlier", t0.Add(-time.Second), NewTimer(high, web2, nil))
	timer("later", t0.Add(time.Second), NewTimer(low, web1, nil))
	c.RunUntil(t0)

	const want = "earlier, first key, watch, second key, high rank"
	if got := strings.Join(fired, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A timer that is due at the time of a message waits: another one may be stored then.
func TestRunBeforeAndUntil(t *testing.T) {
	var c Clock
	fired := 0
	timer := NewTimer(&rules.Rule{}, rules.Key{}, func(at time.Time) {
		fired++
		if !at.Equal(t0) || !c.Now().Equal(t0) {
			t.Errorf("fired at %v, clock %v", at, c.Now())
		}
	})
	c.Set(&timer, t0)

	c.RunBefore(t0)
	if fired != 0 || !c.Now().Equal(t0) {
		t.Fatalf("fired %d times, clock %v", fired, c.Now())
	}
	c.RunUntil(t0)
	c.RunUntil(t0.Add(time.Hour))
	if _, ok := c.Next(); fired != 1 || ok {
		t.Errorf("fired %d times, another one is due: %t", fired, ok)
	}
	if c.RunBefore(t0); !c.Now().Equal(t0.Add(time.Hour)) {
		t.Errorf("time went back to %v", c.Now())
	}
}

func TestSetAgain(t *testing.T) {
	var c Clock
	timer := NewTimer(&rules.Rule{}, rules.Key{}, func(time.Time) { t.Error("fired") })
	c.Set(&timer, time.Time{}) // it is not set
	c.Set(&timer, t0)
	c.Set(&timer, t0.Add(time.Hour))
	if at, ok := c.Next(); !ok || !at.Equal(t0.Add(time.Hour)) {
		t.Errorf("due at %v, %t", at, ok)
	}
	c.Set(&timer, time.Time{})
	c.RunUntil(t0.Add(2 * time.Hour))
}

func TestMark(t *testing.T) {
	k := Mark{Seq: 7, At: t0}
	for _, c := range []struct {
		name string
		meta Meta
		want bool
	}{
		{name: "the message itself", meta: Meta{Seq: 7, Stored: t0}, want: true},
		{name: "one before", meta: Meta{Seq: 6, Stored: t0.Add(-time.Second)}, want: true},
		{name: "the next one", meta: Meta{Seq: 8, Stored: t0}, want: false},
		{name: "of a stream that was created again", meta: Meta{Seq: 1, Stored: t0.Add(time.Second)}, want: false},
	} {
		if got := k.Covers(c.meta); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}

	k.Raise(3, t0.Add(time.Minute))
	if want := (Mark{Seq: 7, At: t0.Add(time.Minute)}); k != want {
		t.Errorf("%+v, want %+v", k, want)
	}
}
