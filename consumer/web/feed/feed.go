// Package feed follows the stream of events while somebody looks at it, and holds the newest
// of them for pages that show them as they come.
//
// Under pressure: the stream is read four times a second at most, only while it is followed,
// and at most maxHeld events of maxBytes in all are held. Who wants what is no longer held
// learns that, and reads the stream itself. An event is decoded when the first one asks for it.
package feed

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/health"
	"supernats/consumer/history"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// readEvery is how often it is looked whether there is something new.
	readEvery = 250 * time.Millisecond
	// maxHeld and maxBytes bound what is held.
	maxHeld  = 4096
	maxBytes = 16 << 20
)

// Feed holds the newest events. Run fills it.
//
//   - Every event of the stream after the place after, up to last, is in held or is none that
//     can be decoded.
//   - While nobody follows, nothing is held, and after is last.
type Feed struct {
	jetStream func() jetstream.JetStream
	log       zerolog.Logger
	changed   chan struct{}
	followed  chan struct{} // holds a value when the first one has begun to follow

	mu          sync.Mutex
	followers   int
	after, last uint64
	// starts counts how often it has begun again: what is read for an earlier start is late.
	starts int
	held   []*item // oldest first
	bytes  int
	// identity is that of the stream when it was read last.
	identity stream.Identity
}

// item is a message of the stream.
type item struct {
	history.Message
	once sync.Once
	// event is nil until it is decoded, and if it cannot be.
	event *history.StoredEvent
}

// New returns a feed. jetStream returns the connection, nil while there is none.
func New(jetStream func() jetstream.JetStream, log zerolog.Logger) *Feed {
	return &Feed{
		jetStream: jetStream, log: log,
		changed: make(chan struct{}, 1), followed: make(chan struct{}, 1),
	}
}

// Changed returns a channel that holds a value when there are newer events than at the last
// receive. It has one reader.
func (f *Feed) Changed() <-chan struct{} { return f.changed }

// Last returns the place in the stream up to which it was read.
func (f *Feed) Last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// Follow asks for what comes after a place in the stream, until stop is called. Who follows
// first decides from where on.
func (f *Feed) Follow(after uint64) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers == 0 {
		f.clear(after)
		signal(f.followed)
	}
	f.followers++

	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.followers--; f.followers == 0 {
			f.clear(f.last)
		}
	}
}

// clear drops what is held, and continues after a place. f.mu is held.
func (f *Feed) clear(after uint64) {
	f.held, f.bytes, f.after, f.last = nil, 0, after, after
	f.starts++
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it was not received yet
	}
}

// Between returns the events after one place and up to another that a filter passes, oldest
// first. It is false if they are no longer held.
func (f *Feed) Between(after, through uint64, filter *consumer.Filter) (list []*history.StoredEvent, whole bool) {
	f.mu.Lock()
	held := f.held
	whole = after >= f.after
	f.mu.Unlock()
	if !whole {
		return nil, false
	}

	first, _ := slices.BinarySearchFunc(held, after+1, func(m *item, seq uint64) int {
		return int(int64(m.Seq) - int64(seq))
	})
	for _, m := range held[first:] {
		if m.Seq > through {
			break
		}
		if e := m.decode(f.log); e != nil && filter.Match(e.Data) {
			list = append(list, e)
		}
	}
	return list, true
}

// decode returns the event, nil if it is none.
func (m *item) decode(log zerolog.Logger) *history.StoredEvent {
	m.once.Do(func() {
		ce, err := (&consumer.Message{Subject: m.Subject, Data: m.Data}).Event()
		if err != nil {
			log.Debug().Err(err).Str("subject", m.Subject).Msg("message is no event and not shown")
			return
		}
		m.event = &history.StoredEvent{CloudEvent: ce, Seq: m.Seq, Stored: schema.Time{Time: m.Stored}}
	})
	return m.event
}

// Run reads the stream while it is followed, until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	few := f.log.Sample(&zerolog.BurstSampler{Burst: 1, Period: time.Hour})
	for {
		if !f.isFollowed() {
			select {
			case <-f.followed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}

		if err := f.read(ctx); err != nil && ctx.Err() == nil {
			few.Warn().Err(err).Msg("open pages cannot be sent new events; this is tried again")
		}
		if err := health.Sleep(ctx, readEvery); err != nil {
			return err
		}
	}
}

func (f *Feed) isFollowed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.followers > 0
}

// read takes in what the stream has got since the last time.
func (f *Feed) read(ctx context.Context) error {
	js := f.jetStream()
	if js == nil { // the status line of every page says so
		return nil
	}
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return err
	}
	info := s.CachedInfo()
	from, start := f.place(info)
	if from > info.State.LastSeq {
		return nil
	}

	r := &history.Reader{JS: js}
	err = r.Scan(ctx, stream.Events, history.Position{Seq: from, Subject: stream.AllEvents},
		func(m *history.Message) error {
			f.add(m, start)
			return nil
		})
	signal(f.changed)
	return err
}

// place returns where to read on. Where the stream is another one, or too much has come, it
// is near the end.
func (f *Feed) place(info *jetstream.StreamInfo) (from uint64, start int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	current := stream.IdentityOf(info)
	isOther := f.identity != (stream.Identity{}) && !current.Follows(f.identity)
	f.identity = current

	end := info.State.LastSeq
	if isOther || f.last > end || f.last+maxHeld < end {
		f.clear(end)
		signal(f.changed)
	}
	return f.last + 1, f.starts
}

// add takes in a message that was read for a start.
func (f *Feed) add(m *history.Message, start int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if start != f.starts {
		return
	}
	f.last = m.Seq
	f.held, f.bytes = append(f.held, &item{Message: *m}), f.bytes+len(m.Data)

	for len(f.held) > maxHeld || f.bytes > maxBytes {
		oldest := f.held[0]
		f.held, f.bytes, f.after = f.held[1:], f.bytes-len(oldest.Data), oldest.Seq
	}
}
