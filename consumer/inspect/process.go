package inspect

import (
	"context"
	"slices"
	"time"

	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// Process is the record of a process with what has become of it since.
type Process struct {
	schema.ProcessRecord
	// UnknownSince is set if the host, or the supervisord of the process, is silent since
	// then or was killed then: the state is what it was.
	UnknownSince *schema.Time `json:"unknown_since,omitempty"`
	// StoppingSince is set if its supervisord has been shutting down since then: not all
	// listeners get the events of what it stops.
	StoppingSince *schema.Time `json:"stopping_since,omitempty"`
	// StoppedSince is set if its supervisord announced its shutdown, and was last seen
	// then: it has stopped the process, and no event came of that.
	StoppedSince *schema.Time `json:"stopped_since,omitempty"`

	// Down says that it should run and does not, or that nobody knows whether it does.
	Down bool `json:"-"`
}

// Processes returns all processes, sorted by host, group and name, and the time by which
// the spans in them are to be read.
func (r *Reader) Processes(ctx context.Context) ([]Process, time.Time, error) {
	records, err := r.ProcessRecords(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	f, err := r.Fleet(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}

	list := make([]Process, len(records))
	for i, record := range records {
		list[i] = f.Process(record)
	}
	slices.SortFunc(list, func(a, b Process) int {
		return slices.Compare([]string{a.Host, a.Group, a.Process}, []string{b.Host, b.Group, b.Process})
	})
	return list, f.Now, nil
}

// ProcessRecords returns the records of all processes, in no order.
func (r *Reader) ProcessRecords(ctx context.Context) ([]schema.ProcessRecord, error) {
	return readBucket(ctx, r, stream.StateBucket, func(s *schema.ProcessRecord) string {
		return schema.StateKey(s.Host, s.Group, s.Process)
	})
}

// Process returns a process with what the record of its host adds.
func (f *Fleet) Process(record schema.ProcessRecord) Process {
	p := Process{ProcessRecord: record}
	var h *schema.HostRecord
	if i, known := f.byName[p.Host]; known && !f.Hosts[i].LastSeen.IsZero() {
		h = &f.Hosts[i]
	}

	was, _ := state.Status(&p.ProcessRecord, nil, f.Now, 0)
	runs := was == state.Running || was == state.Down
	switch status, since := state.Status(&p.ProcessRecord, h, f.Now, schema.SilentAfter); {
	case status == state.Unknown:
		// What is known of it must not look well.
		p.UnknownSince, p.Down = &schema.Time{Time: since}, runs
	case status == state.Stopped && runs:
		p.StoppedSince = &schema.Time{Time: since}
	case status == state.Running:
		p.StoppingSince = stoppingSince(h, p.Boot)
	default:
		p.Down = status == state.Down
	}
	return p
}

// stoppingSince returns since when the supervisord of a boot has been shutting down, nil
// if it is not.
func stoppingSince(h *schema.HostRecord, boot string) *schema.Time {
	if h == nil {
		return nil
	}
	if l := h.Life(boot); l != nil {
		return l.Stopping
	}
	return h.Stopping
}
