package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// Fleet is what is known of every host at a time.
type Fleet struct {
	Hosts []schema.HostRecord
	// Now is the server's time: an operator's machine may have another one.
	Now time.Time

	byName map[string]int // where a host is in Hosts
	// quiet are supervisords that are silent while another one of their host is not, and
	// when each was last seen.
	quiet map[supervisordID]schema.Time
}

// supervisordID is one of the supervisords of a host.
type supervisordID struct{ host, boot string }

// NewFleet finds the silent ones among several supervisords of a host. They are compared
// with the others in the record, which may be older than the host's last message.
func NewFleet(hosts []schema.HostRecord, now time.Time) *Fleet {
	f := &Fleet{Hosts: hosts, Now: now, byName: map[string]int{}, quiet: map[supervisordID]schema.Time{}}

	for i := range hosts {
		h := &hosts[i]
		f.byName[h.Host] = i
		for j := range h.Lives {
			l := &h.Lives[j]
			if h.HasLost(l, schema.SilentAfter) && l.Ended == nil && l.Stopping == nil && !l.Succeeded {
				f.quiet[supervisordID{h.Host, l.Boot}] = l.LastSeen
			}
		}
	}
	return f
}

// Fleet reads the records of all hosts. It asks the stream itself about those that look
// silent: the records are no younger than `supernats consume`.
func (r *Reader) Fleet(ctx context.Context) (*Fleet, error) {
	hosts, err := r.hostRecords(ctx)
	if err != nil {
		return nil, err
	}
	s, err := r.JS.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}

	f := NewFleet(hosts, s.CachedInfo().TimeStamp)
	for i := range f.Hosts {
		if err := f.updateLastSeen(ctx, s, &f.Hosts[i]); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (r *Reader) hostRecords(ctx context.Context) ([]schema.HostRecord, error) {
	return readBucket(ctx, r, stream.HostsBucket, func(h *schema.HostRecord) string { return schema.Token(h.Host) })
}

// updateLastSeen looks in the stream for a later message of a host that looks silent.
func (f *Fleet) updateLastSeen(ctx context.Context, s jetstream.Stream, h *schema.HostRecord) error {
	for _, subject := range []string{schema.SnapshotSubject(h.Host), "supervisor.*." + schema.Token(h.Host) + ".>"} {
		if !f.IsSilent(h) {
			return nil
		}
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for the last message of host %s: %w", h.Host, err)
		}
		if m.Time.After(h.LastSeen.Time) {
			f.markSeen(h, schema.Time{Time: m.Time})
		}
	}
	return nil
}

// markSeen notes that a host was seen after its record was written. Those of its
// supervisords that were not silent then may have been seen too.
func (f *Fleet) markSeen(h *schema.HostRecord, at schema.Time) {
	h.LastSeen = at
	for i := range h.Lives {
		l := &h.Lives[i]
		if _, quiet := f.QuietSince(h, l); !quiet && l.Ended == nil && l.Stopping == nil && !l.Succeeded {
			l.LastSeen = at
		}
	}
}

// IsSilent reports whether nothing has come from a host for too long. A record that does
// not say when the host was seen says nothing.
func (f *Fleet) IsSilent(h *schema.HostRecord) bool {
	return !h.LastSeen.IsZero() && f.Now.Sub(h.LastSeen.Time) > schema.SilentAfter
}

// IsGone reports whether the supervisord of a host was killed: from then on nothing is
// known of what it ran.
func (f *Fleet) IsGone(h *schema.HostRecord) bool { return h.SupervisorState == schema.SupervisorGone }

// IsShutDown reports whether the supervisord of a host announced its end, and nothing has
// come since: it ends after all that it ran.
func (f *Fleet) IsShutDown(h *schema.HostRecord) bool {
	announced := h.Stopping != nil || len(h.Lives) == 0 && h.SupervisorState == schema.SupervisorStopping
	return announced && f.IsSilent(h)
}

// QuietSince returns when a supervisord was last seen that is silent while another one of
// its host is not; ok is false for one that is not silent.
func (f *Fleet) QuietSince(h *schema.HostRecord, l *schema.HostLife) (since schema.Time, ok bool) {
	since, ok = f.quiet[supervisordID{h.Host, l.Boot}]
	return since, ok
}

// Living returns the supervisords of a host that have not ended, and how many of them are
// silent.
func (f *Fleet) Living(h *schema.HostRecord) (lives []*schema.HostLife, quiet int) {
	for i := range h.Lives {
		l := &h.Lives[i]
		if l.Ended != nil || l.Succeeded {
			continue
		}
		lives = append(lives, l)
		if _, ok := f.QuietSince(h, l); ok {
			quiet++
		}
	}
	return lives, quiet
}

// Host is the record of a host with what has become of the host since.
type Host struct {
	schema.HostRecord
	// UnknownSince is set if nothing has come from the host since then, or its supervisord
	// was killed then; ShutDownSince if it announced its shutdown, and nothing came since.
	UnknownSince  *schema.Time `json:"unknown_since,omitempty"`
	ShutDownSince *schema.Time `json:"shut_down_since,omitempty"`
	// Supervisords is how many it has, Silent how many of several say nothing while
	// another one does.
	Supervisords int `json:"supervisords"`
	Silent       int `json:"supervisords_silent,omitempty"`
}

// List returns the hosts whose names a predicate accepts, sorted by name.
func (f *Fleet) List(accepts func(host string) bool) []Host {
	var hosts []Host
	for i := range f.Hosts {
		if accepts(f.Hosts[i].Host) {
			hosts = append(hosts, f.describe(&f.Hosts[i]))
		}
	}
	slices.SortFunc(hosts, func(a, b Host) int { return strings.Compare(a.HostRecord.Host, b.HostRecord.Host) })
	return hosts
}

func (f *Fleet) describe(r *schema.HostRecord) Host {
	h := Host{HostRecord: *r}
	switch {
	case f.IsShutDown(r):
		h.ShutDownSince = &r.LastSeen
		h.Running, h.Down, h.Stopped = 0, 0, r.Running+r.Down+r.Stopped
	case f.IsSilent(r), f.IsGone(r):
		h.UnknownSince = &r.LastSeen
	}

	lives, quiet := f.Living(r)
	h.Supervisords, h.Silent = len(lives), quiet
	return h
}
