package inbox

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"supernats/consumer/fit"
	"supernats/consumer/health"
	"supernats/schema"
	"supernats/schema/stream"
)

// maxError is how much of an error stands in a position, in bytes.
const maxError = 1 << 10

// raise records that everything up to a sequence was delivered.
func raise(p *stream.Position, seq uint64) {
	if seq > p.Done {
		p.Done, p.Stored = seq, time.Time{}
	}
}

// writePosition writes the position. Each write names the revision that it replaces: an
// instance that was frozen while another took over writes no more, and so sends no more.
func (b *Inbox) writePosition(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	at := b.at
	err := health.Unbroken(ctx, b.js.Conn(), func(ctx context.Context) error {
		if _, err := b.positions.Get(ctx, b.Name()); err != nil {
			return err
		}
		b.positions.Set(b.Name(), &at)
		return b.positions.Flush(ctx)
	})
	if err == nil {
		b.memory.remember(b.Name(), at)
		b.unwritten = false
	}
	return err
}

// Resumes returns the last sequence of the batch that a restart interrupted, 0 if there is
// none.
func (b *Inbox) Resumes() uint64 {
	if b.at.Batch > b.at.Done {
		return b.at.Batch
	}
	return 0
}

// Begin records the batch that is about to be sent, by its last sequence.
func (b *Inbox) Begin(ctx context.Context, last uint64) error {
	if b.at.Batch == last && b.at.LimitedUntil == nil {
		return nil
	}
	b.at.Batch, b.at.LimitedUntil = last, nil
	return b.writePosition(ctx)
}

// SetLimited records, for people, until when the rate limit holds the next batch. Begin ends
// that.
func (b *Inbox) SetLimited(ctx context.Context, until time.Time) error {
	b.at.LimitedUntil = &schema.Time{Time: until.UTC()}
	return b.writePosition(ctx)
}

// SetDelivered remembers that everything up to a sequence was delivered, so that it is not
// sent again if the acknowledgement is lost.
func (b *Inbox) SetDelivered(seq uint64) {
	b.done = max(b.done, seq)
	raise(&b.at, b.done)
	b.at.Ahead = slices.DeleteFunc(b.at.Ahead, func(s uint64) bool { return s <= b.done })
}

// IsDone reports whether a notification was delivered, or parked, before its turn.
func (b *Inbox) IsDone(seq uint64) bool { return slices.Contains(b.at.Ahead, seq) }

// Alone returns the sequence of the notification whose sending alone a restart interrupted,
// 0 if there is none.
func (b *Inbox) Alone() uint64 { return b.at.Alone }

// BeginAlone records the notification that is about to be sent alone.
func (b *Inbox) BeginAlone(ctx context.Context, seq uint64) error {
	b.at.Alone = seq
	return b.writePosition(ctx)
}

// DoneAhead records what was delivered or parked before its turn, and that nothing is being
// sent alone any more, even if ctx has ended.
func (b *Inbox) DoneAhead(ctx context.Context, seqs ...uint64) error {
	b.at.Alone = 0
	b.at.Ahead = append(b.at.Ahead, seqs...)
	return b.writePosition(context.WithoutCancel(ctx))
}

// SetFailed records, for people, why a try of the batch up to seq failed.
func (b *Inbox) SetFailed(ctx context.Context, seq uint64, err error) error {
	now := &schema.Time{Time: time.Now().UTC()}
	since := b.at.Since
	if b.at.Error == "" || since == nil {
		since = now
	}
	b.at.Failures = stream.Failures{
		Error: fit.Text(err.Error(), maxError), Tries: b.at.Tries + 1, Since: since, Tried: now, Trying: seq,
	}
	return b.writePosition(ctx)
}

// SetRecovered records that the last try succeeded, and what was accepted late.
func (b *Inbox) SetRecovered(ctx context.Context) error {
	if b.at.Failures == (stream.Failures{}) && !b.unwritten {
		return nil
	}
	b.at.Failures = stream.Failures{}
	return b.writePosition(context.WithoutCancel(ctx))
}

// BeginLater has a queue that cannot be created now begin with what is stored from now on,
// whenever it is created. Call it after Open has failed.
func (b *Inbox) BeginLater(ctx context.Context) error {
	if b.positions == nil {
		return fmt.Errorf("bucket %s cannot be opened", stream.LeasesBucket)
	}
	if was, err := b.positions.Get(ctx, b.Name()); err != nil || was != nil {
		return err
	}
	s, err := b.js.Stream(ctx, b.queue.Stream)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", b.queue.Stream, err)
	}

	info := s.CachedInfo()
	last := info.State.LastSeq
	b.at = stream.Position{
		Receiver: b.receiver, Stream: info.Created, Done: last, Begin: last, Unmade: true, Failures: b.at.Failures,
	}
	return b.writePosition(ctx)
}

// Memory remembers the positions of the receivers: a queue that vanishes together with its
// position is not new. The zero value is empty; a nil Memory remembers nothing. It is safe
// for concurrent use.
type Memory struct {
	mu sync.Mutex
	at map[string]stream.Position // by consumer
}

// positionOf returns the position of a queue, nil if it was never opened.
func (m *Memory) positionOf(name string) *stream.Position {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()

	if at, ok := m.at[name]; ok {
		return &at
	}
	return nil
}

func (m *Memory) remember(name string, at stream.Position) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.at == nil {
		m.at = map[string]stream.Position{}
	}
	m.at[name] = at
}

// furthest returns the position that is further in the stream that was created at a time;
// nil if both are nil.
func furthest(stored, remembered *stream.Position, created time.Time) *stream.Position {
	switch {
	case stored == nil:
		return remembered
	case remembered == nil || !remembered.Stream.Equal(created):
		return stored
	case !stored.Stream.Equal(created) || stored.Done < remembered.Done:
		return remembered
	}
	return stored
}
