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
	hosts  []schema.Host
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
func newFleet(hosts []schema.Host, now time.Time) *fleet {
	f := &fleet{hosts: hosts, byName: map[string]int{}, now: now, quiet: map[life]schema.Time{}}
	for i := range hosts {
		h := &hosts[i]
		f.byName[h.Host] = i
		for j := range h.Lives {
			l := &h.Lives[j]
			if h.LastSeen.Sub(h.Heard(l)) > silentAfter && l.Ended == nil && l.Stopping == nil && !l.Succeeded {
				f.quiet[life{h.Host, l.Boot}] = l.LastSeen
			}
		}
	}
	return f
}

// readFleet reads the records of all hosts. Of those that look silent it asks the
// stream itself: the records are no younger than `supernats consume`.
func readFleet(ctx context.Context, js jetstream.JetStream) (*fleet, error) {
	hosts, err := readBucket(ctx, js, stream.HostsBucket, func(h *schema.Host) string { return schema.Token(h.Host) })
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
				h.LastSeen = schema.Time{Time: m.Time}
			}
			if !f.silent(h) {
				break
			}
		}
	}
	return f, nil
}

// silent reports whether nothing has come from a host for too long. A record that
// does not say when the host was seen says nothing.
func (f *fleet) silent(h *schema.Host) bool {
	return !h.LastSeen.IsZero() && f.now.Sub(h.LastSeen.Time) > silentAfter
}

// unknownSince returns since when nothing is known of a process any more: it is the
// process of a silent host, or of a silent one of its supervisords.
func (f *fleet) unknownSince(silent map[string]schema.Time, s *schema.State) (since schema.Time, unknown bool) {
	if since, unknown = silent[s.Host]; !unknown {
		since, unknown = f.quiet[life{s.Host, s.Boot}]
	}
	return since, unknown
}

// down reports whether a process should run and does not, or should and nobody knows
// whether it does: what is known of a silent host must not look well.
func (f *fleet) down(s *schema.State) bool {
	var h *schema.Host
	if i, known := f.byName[s.Host]; known {
		h = &f.hosts[i]
	}
	status, _ := state.Status(s, h, f.now, silentAfter)
	if status == state.Unknown {
		was, _ := state.Status(s, nil, f.now, 0)
		return was == state.Running || was == state.Down
	}
	return status == state.Down
}

// silentSince are the silent hosts, and when each was last seen.
func (f *fleet) silentSince() map[string]schema.Time {
	since := map[string]schema.Time{}
	for i := range f.hosts {
		if h := &f.hosts[i]; f.silent(h) {
			since[h.Host] = h.LastSeen
		}
	}
	return since
}

// living are the supervisords of a host that have not ended, and how many of them
// are silent.
func (f *fleet) living(h *schema.Host) (lives []*schema.HostLife, quiet int) {
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
