package past

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// MaxRead is how many messages Newest reads at most on one subject, MaxTime for how long
	// it reads.
	MaxRead = 20_000
	MaxTime = 2 * time.Second
	// firstWindow is how many sequences are read first, counted back from the end. Each
	// further window is windowGrowth times as long: a stream of 100 million messages takes
	// seven.
	firstWindow  = 400
	windowGrowth = 8
)

// Event is an event of the stream.
type Event struct {
	*schema.CloudEvent[*schema.Event]
	Seq uint64
	// Stored is when the stream got it, Happened when it happened: where the clock of its
	// host is wrong, that is not what its host says.
	Stored, Happened time.Time
}

// Query chooses the newest events.
type Query struct {
	Filter consumer.Filter
	// Since and Until bound when they happened; zero: no bound.
	Since, Until time.Time
	// Before is a sequence that all have to be below; 0: none.
	Before uint64
	// Limit is how many are returned at most.
	Limit int
}

// Events are the newest events that a query chooses, the newest first.
type Events struct {
	List []Event
	// Next is the sequence before which there are more, 0 if there are none.
	Next uint64
	// ReadTo is set if reading was ended early, at the event of that time: what is older
	// was not looked at.
	ReadTo time.Time
}

// Newest returns the newest events that a query chooses.
func Newest(ctx context.Context, js jetstream.JetStream, q Query) (Events, error) {
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return Events{}, fmt.Errorf("look up stream %s: %w "+
			"(it is created by `supernats consume` and by the first supernats-bridge)", stream.Events, err)
	}

	within, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	var found Events
	for _, subject := range q.Filter.Subjects() {
		r := &backward{js: js, info: s.CachedInfo(), subject: subject, query: q}
		if err := r.run(within); err != nil && (within.Err() == nil || ctx.Err() != nil) {
			return found, err
		}
		found.List = append(found.List, r.found...)
		if r.readTo.After(found.ReadTo) {
			found.ReadTo = r.readTo
		}
	}

	slices.SortFunc(found.List, func(a, b Event) int { return cmp.Compare(b.Seq, a.Seq) })
	if len(found.List) > q.Limit {
		found.List = found.List[:q.Limit]
		found.Next = found.List[q.Limit-1].Seq
	}
	return found, nil
}

// backward reads the newest events on one subject. JetStream reads forward only, so it goes
// back by windows of sequences, each longer than the one after it. The server skips what is
// on other subjects.
type backward struct {
	js      jetstream.JetStream
	info    *jetstream.StreamInfo
	subject string
	query   Query

	// found are the newest so far, oldest first. oldest is when the first message of the
	// last window was stored, read how many messages were read.
	found  []Event
	oldest time.Time // zero: no window had any
	read   int
	// readTo is set if reading has ended early.
	readTo time.Time
}

// What ends the reading of a window: its end, and the limit.
var (
	errEnough  = errors.New("the window was read")
	errTooMuch = errors.New("too many messages")
)

// run reads windows until there are more events than the query wants.
func (r *backward) run(ctx context.Context) error {
	state := r.info.State
	end := state.LastSeq + 1 // not included
	if r.query.Before > 0 {
		end = min(end, r.query.Before)
	}

	for size := uint64(firstWindow); end > state.FirstSeq && len(r.found) <= r.query.Limit; size *= windowGrowth {
		begin := state.FirstSeq
		if end-state.FirstSeq > size {
			begin = end - size
		}
		older, err := r.window(ctx, begin, end)
		if errors.Is(err, errTooMuch) { // what was read is not next to what was found
			return nil
		}
		if err != nil {
			return err
		}
		r.found = append(older, r.found...)
		end = begin

		// Events are stored after they have happened.
		if !r.oldest.IsZero() && r.oldest.Before(r.query.Since) {
			return nil
		}
	}
	return nil
}

// window returns the events with sequences from begin on and below end.
func (r *backward) window(ctx context.Context, begin, end uint64) (list []Event, err error) {
	newer, first := r.oldest, true
	if newer.IsZero() {
		newer = r.info.State.LastTime
	}
	r.readTo = newer // if it ends early

	err = scan(ctx, r.js, r.info, r.subject, Position{Seq: begin}, func(m *Message) error {
		if m.Seq >= end {
			return errEnough
		}
		if first {
			r.oldest, first = m.Stored, false
		}
		if r.read++; r.read > MaxRead {
			return errTooMuch
		}
		if e, ok := r.event(m); ok {
			list = append(list, e)
		}
		return nil
	})
	if err == nil || errors.Is(err, errEnough) {
		r.readTo = time.Time{}
		return list, nil
	}
	return nil, err
}

// event reads a message; ok is false if the query does not choose it. What cannot be read
// is reported by `supernats consume`.
func (r *backward) event(m *Message) (e Event, ok bool) {
	ce, err := (&consumer.Message{Subject: m.Subject, Data: m.Data}).Event()
	if err != nil || !r.query.Filter.Match(ce.Data) {
		return Event{}, false
	}

	sent := state.Meta{Stored: m.Stored, Sent: consumer.SentAt(m.Header)}
	happened := ce.Time.Add(state.ShiftBy(nil, sent, ce.Time.Time))
	if happened.Before(r.query.Since) || !r.query.Until.IsZero() && happened.After(r.query.Until) {
		return Event{}, false
	}
	return Event{CloudEvent: ce, Seq: m.Seq, Stored: m.Stored, Happened: happened}, true
}
