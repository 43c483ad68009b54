package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/schema"
	"supernats/schema/stream"
)

// StoredEvent is an event with its place in the stream.
type StoredEvent struct {
	*schema.CloudEvent[*schema.Event]
	// Seq is its sequence, Stored when the stream got it.
	Seq    uint64      `json:"seq"`
	Stored schema.Time `json:"stored"`
}

// NewestQuery says which of the newest events are read.
type NewestQuery struct {
	Filter consumer.Filter
	// Since is the time of storing up to which to go back; zero: as far as the stream goes.
	// Until is the time of storing from which on to go back; zero: from now.
	Since, Until time.Time
	// Before is the sequence below which to read, 0 for the end of the stream.
	Before uint64
	// Limit is how many to return at most, 0 for DefaultNewest.
	Limit int
}

// DefaultNewest is how many of the newest events are read if nothing else is asked for.
const DefaultNewest = 100

// Going back in a stream: it can only be read forwards, so it is read in windows, each
// before the last and larger than that.
const (
	firstWindow  = 1 << 10
	windowGrowth = 8
	// newestTimeout bounds how long one query may go back.
	newestTimeout = 5 * time.Second
)

// Newest is an answer to a NewestQuery.
type Newest struct {
	// Events are the newest first.
	Events []StoredEvent
	// Through is the sequence of the newest message that was looked at.
	Through uint64
	// More says that there may be older ones: Next is what NewestQuery.Before has to be for
	// them.
	More bool
	Next uint64
	// SearchedTo is the time of storing back to which all was read, if the search took too
	// long to go on.
	SearchedTo time.Time
}

// Newest returns the newest events that a query asks for.
func (r *Reader) Newest(ctx context.Context, q NewestQuery) (*Newest, error) {
	s, err := r.JS.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w "+
			"(it is created by `supernats consume` and by the first supernats-bridge)", stream.Events, err)
	}
	state := s.CachedInfo().State
	if q.Limit <= 0 {
		q.Limit = DefaultNewest
	}
	first, end, err := r.bounds(ctx, &q, &state)
	if err != nil {
		return nil, err
	}

	found, searchedTo := &Newest{Through: end - 1}, state.LastTime
	deadline := time.Now().Add(newestTimeout)
	for size := uint64(firstWindow); end > first; size *= windowGrowth {
		begin := max(first, end-min(end, size))
		window, oldest, err := r.readWindow(ctx, &q, begin, end, deadline)
		if errors.Is(err, errLate) { // what was read of it is not next to what was found
			found.More, found.Next, found.SearchedTo = true, end, searchedTo
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if !oldest.IsZero() {
			searchedTo = oldest
		}
		found.Events = append(found.Events, window...)
		end = begin

		switch {
		case len(found.Events) > q.Limit:
			found.Events = found.Events[:q.Limit]
			found.More, found.Next = true, found.Events[q.Limit-1].Seq
			return found, nil
		case time.Now().After(deadline):
			found.More, found.Next, found.SearchedTo = end > first, end, searchedTo
			return found, nil
		}
	}
	return found, nil
}

// bounds returns the first sequence that a query may ask for, and the one after the last.
func (r *Reader) bounds(
	ctx context.Context, q *NewestQuery, state *jetstream.StreamState,
) (first, end uint64, err error) {
	if state.Msgs == 0 {
		return 0, 0, nil
	}
	first, end = state.FirstSeq, state.LastSeq+1
	if q.Before > 0 {
		end = min(end, q.Before)
	}

	seek := func(t time.Time) (seq uint64, err error) {
		seq = state.LastSeq + 1
		err = r.Scan(ctx, stream.Events, Position{Time: t}, func(m *Message) error {
			seq = m.Seq
			return ErrEnough
		})
		return seq, err
	}
	if !q.Since.IsZero() {
		seq, err := seek(q.Since)
		if err != nil {
			return 0, 0, err
		}
		first = max(first, seq)
	}
	if !q.Until.IsZero() {
		seq, err := seek(q.Until.Add(time.Nanosecond))
		if err != nil {
			return 0, 0, err
		}
		end = min(end, seq)
	}
	return first, end, nil
}

// errLate says that a window could not be read in time.
var errLate = errors.New("reading takes too long")

// readWindow returns the newest events of a part of the stream, the newest first, no more
// than show that there is another page; and when the stream got the first message of the
// part. The error is errLate if that takes until the deadline.
func (r *Reader) readWindow(
	ctx context.Context, q *NewestQuery, begin, end uint64, deadline time.Time,
) (list []StoredEvent, oldest time.Time, err error) {
	most := q.Limit + 1
	keepNewest := func() {
		slices.SortFunc(list, func(a, b StoredEvent) int { return cmp.Compare(b.Seq, a.Seq) })
		list = list[:min(len(list), most)]
	}
	for _, subject := range q.Filter.Subjects() {
		err := r.Scan(ctx, stream.Events, Position{Seq: begin, Subject: subject}, func(m *Message) error {
			if m.Seq >= end {
				return ErrEnough
			}
			if time.Now().After(deadline) {
				return errLate
			}
			if oldest.IsZero() || m.Stored.Before(oldest) {
				oldest = m.Stored
			}
			if m.Stored.Before(q.Since) || !q.Until.IsZero() && m.Stored.After(q.Until) {
				return nil
			}

			ce, err := (&consumer.Message{Subject: m.Subject, Data: m.Data}).Event()
			if err != nil {
				r.warn("message on %q: %v", m.Subject, err)
				return nil
			}
			if q.Filter.Match(ce.Data) {
				list = append(list, StoredEvent{CloudEvent: ce, Seq: m.Seq, Stored: schema.Time{Time: m.Stored}})
			}
			if len(list) >= 2*most {
				keepNewest()
			}
			return nil
		})
		if err != nil {
			return nil, oldest, err
		}
	}

	keepNewest()
	return list, oldest, nil
}
