package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// silentAfter is how long nothing may come from a host until what was known of it
// is known no more. Its bridge publishes a snapshot every minute, and ticks.
const silentAfter = state.SilentAfter

// fleet is what is known of every host at a time.
type fleet struct {
	hosts  []schema.HostRecord
	byName map[string]int // where a host is in hosts
	// now is the server's time: that of an operator's machine may be another.
	now time.Time
	// quiet are supervisords that are silent while another one of their host is not,
	// by host and boot, and when each was last seen.
	quiet map[life]schema.Time
}

// life is one of the supervisords of a host.
type life struct{ host, boot string }

// newFleet finds the silent ones among several supervisords of a host. They are held
// against the others in the record, which may be older than the host's last message.
func newFleet(hosts []schema.HostRecord, now time.Time) *fleet {
	f := &fleet{hosts: hosts, byName: map[string]int{}, now: now, quiet: map[life]schema.Time{}}
	for i := range hosts {
		h := &hosts[i]
		f.byName[h.Host] = i
		for j := range h.Lives {
			l := &h.Lives[j]
			if h.HasLost(l, silentAfter) && l.Ended == nil && l.Stopping == nil && !l.Succeeded {
				f.quiet[life{h.Host, l.Boot}] = l.LastSeen
			}
		}
	}
	return f
}

// readFleet reads the records of all hosts. Of those that look silent it asks the
// stream itself: the records are no younger than `supernats consume`.
func readFleet(ctx context.Context, js jetstream.JetStream) (*fleet, error) {
	hosts, err := readBucket(ctx, js, stream.HostsBucket, func(h *schema.HostRecord) string { return schema.Token(h.Host) })
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	f := newFleet(hosts, s.CachedInfo().TimeStamp)
	for i := range f.hosts {
		h := &f.hosts[i]
		if !f.silent(h) {
			continue
		}
		for _, subject := range []string{schema.SnapshotSubject(h.Host), "supervisor.*." + schema.Token(h.Host) + ".>"} {
			m, err := s.GetLastMsgForSubject(ctx, subject)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("look for the last message of host %s: %w", h.Host, err)
			}
			if m.Time.After(h.LastSeen.Time) {
				f.heard(h, schema.Time{Time: m.Time})
			}
			if !f.silent(h) {
				break
			}
		}
	}
	return f, nil
}

// heard notes that a host was seen after its record was written: so may those of its
// supervisords have been that were not silent then.
func (f *fleet) heard(h *schema.HostRecord, at schema.Time) {
	h.LastSeen = at
	for i := range h.Lives {
		l := &h.Lives[i]
		if _, quiet := f.quiet[life{h.Host, l.Boot}]; !quiet && l.Ended == nil && l.Stopping == nil && !l.Succeeded {
			l.LastSeen = at
		}
	}
}

// silent reports whether nothing has come from a host for too long. A record that
// does not say when the host was seen says nothing.
func (f *fleet) silent(h *schema.HostRecord) bool {
	return !h.LastSeen.IsZero() && f.now.Sub(h.LastSeen.Time) > silentAfter
}

// isGone reports whether the supervisord of a host was killed: nothing is known of what
// it had, from then on.
func (f *fleet) isGone(h *schema.HostRecord) bool { return h.SupervisorState == schema.SupervisorGone }

// isShutDown reports whether the supervisord of a host announced its end, and nothing has
// come since: it ends after all that it ran.
func (f *fleet) isShutDown(h *schema.HostRecord) bool {
	announced := h.Stopping != nil || len(h.Lives) == 0 && h.SupervisorState == "STOPPING"
	return announced && f.silent(h)
}

// show fills in what has become of a process beside its record.
func (f *fleet) show(s *shownState) {
	var h *schema.HostRecord
	if i, known := f.byName[s.Host]; known && !f.hosts[i].LastSeen.IsZero() {
		h = &f.hosts[i]
	}
	was, _ := state.Status(&s.ProcessRecord, nil, f.now, 0)
	runs := was == state.Running || was == state.Down
	switch status, since := state.Status(&s.ProcessRecord, h, f.now, silentAfter); {
	case status == state.Unknown:
		s.UnknownSince, s.down = &schema.Time{Time: since}, runs // what is known of it must not look well
	case status == state.Stopped && runs:
		s.StoppedSince = &schema.Time{Time: since}
	case status == state.Running:
		s.StoppingSince = stoppingSince(h, s.Boot)
	default:
		s.down = status == state.Down
	}
}

// stoppingSince is since when the supervisord of a boot shuts down, nil if it does not.
func stoppingSince(h *schema.HostRecord, boot string) *schema.Time {
	if h == nil {
		return nil
	}
	if l := h.Life(boot); l != nil {
		return l.Stopping
	}
	return h.Stopping
}

// living are the supervisords of a host that have not ended, and how many of them
// are silent.
func (f *fleet) living(h *schema.HostRecord) (lives []*schema.HostLife, quiet int) {
	for i := range h.Lives {
		l := &h.Lives[i]
		if l.Ended != nil || l.Succeeded {
			continue
		}
		lives = append(lives, l)
		if _, ok := f.quiet[life{h.Host, l.Boot}]; ok {
			quiet++
		}
	}
	return lives, quiet
}
