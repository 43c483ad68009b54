package lives

import (
	"testing"
	"time"

	"supernats/schema"
)

var t0 = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

func TestShift(t *testing.T) {
	const minute, hour = time.Minute, time.Hour
	slow := &schema.HostClock{Settled: true, Offset: hour.Milliseconds()}
	wasSlow := &schema.HostClock{Settled: true, Before: new(hour.Milliseconds())}
	for _, c := range []struct {
		name     string
		clock    *schema.HostClock
		sent     time.Time // by the host's clock
		happened time.Time // too
		want     time.Duration
	}{
		{name: "nothing is known", happened: t0},
		{name: "a right clock", sent: t0.Add(-time.Second), happened: t0.Add(-minute)},
		{name: "a clock that is almost right", sent: t0.Add(-50 * time.Second), happened: t0.Add(-minute)},
		{name: "one message says that it is slow", sent: t0.Add(-hour), happened: t0.Add(-hour), want: hour},
		{name: "all messages say so", clock: slow, sent: t0.Add(-hour - time.Second), happened: t0.Add(-hour), want: hour},
		{name: "this one was long on its way", clock: slow, sent: t0.Add(-hour - 50*time.Second), happened: t0.Add(-hour), want: hour},
		{name: "it was set while the message waited", clock: wasSlow, sent: t0, happened: t0.Add(-2 * hour), want: hour},
		{name: "and that would be in the future", clock: wasSlow, sent: t0, happened: t0.Add(-minute)},
		{name: "whatever is added, it is in the future", sent: t0, happened: t0.Add(hour), want: -hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Shift(c.clock, t0, c.sent, c.happened); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestClaimOf(t *testing.T) {
	at := func(d time.Duration) schema.Time { return schema.Time{Time: t0.Add(d)} }
	const minute = time.Minute
	life := func(boot string, begun, happened, seen time.Duration) schema.HostLife {
		return schema.HostLife{
			Boot: boot, Begun: at(begun), Happened: at(happened), LastSeen: at(seen), FirstSeen: at(begun), Steady: at(begun),
		}
	}
	ended := func(l schema.HostLife) schema.HostLife { l.Ended = &l.LastSeen; return l }
	of := func(instance string, l schema.HostLife) schema.HostLife { l.Instances = []string{instance}; return l }
	for _, c := range []struct {
		name       string
		owner, own schema.HostLife
		gone       bool
		want       Claim
	}{
		{name: "the other one is over", owner: ended(life("a", 0, 0, 0)), own: life("b", minute, minute, minute), want: ClaimAll},
		{name: "this one is over", owner: life("a", minute, minute, minute), own: ended(life("b", 0, 0, 0)), want: ClaimNothing},
		{name: "both live", owner: life("a", 0, minute, minute), own: life("b", 10*time.Second, minute, minute), want: ClaimConflict},
		{name: "this one may be the next life", owner: life("a", 0, 0, 0), own: life("b", minute, minute, minute), want: ClaimEvents},
		{name: "this one began before", owner: life("a", minute, minute, minute), own: life("b", 0, 0, minute), want: ClaimNothing},
		{name: "two of different instances", owner: of("x", life("a", 0, 0, 0)), own: of("y", life("b", minute, minute, minute)), want: ClaimNothing},
		{name: "the other one does not have it any more", owner: life("a", 0, minute, minute), own: life("b", 0, minute, minute), gone: true, want: ClaimAll},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := Host{Record: schema.HostRecord{LastSeen: at(minute), Lives: []schema.HostLife{c.owner, c.own}}}
			r := &schema.ProcessRecord{Boot: "a"}
			if c.gone {
				r.Gone = new(at(0))
			}
			if got := h.ClaimOf("b", r, t0.Add(minute)); got != c.want {
				t.Errorf("claim %d, want %d", got, c.want)
			}
			if got := h.ClaimOf("a", r, t0.Add(minute)); got != ClaimAll {
				t.Errorf("its own record: claim %d", got)
			}
		})
	}
}
