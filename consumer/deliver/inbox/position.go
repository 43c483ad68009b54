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

// Position is the record of a delivery in the bucket of leases, under the name of its
// consumer. Each write names the revision that it replaces: an instance that was frozen
// while another took over writes no more, and so sends no more.
type Position struct {
	Receiver string `json:"receiver"`
	// Stream is when the stream of notifications was created: the numbers of another one
	// begin again.
	Stream time.Time `json:"stream"`
	// Done is a sequence up to which everything was delivered, Stored when the stream
	// got that message; zero if that is not known. By both a stream is recognised that
	// was restored from a backup.
	Done   uint64    `json:"done"`
	Stored time.Time `json:"stored,omitzero"`
	// Batch is the last sequence of the batch that is being sent. After a restart the
	// same batch is sent, so that its Message-ID is the same.
	Batch uint64 `json:"batch,omitempty"`
	// Alone is a sequence that is being sent alone, before its turn.
	Alone uint64 `json:"alone,omitempty"`
	// Ahead are sequences after Done that were delivered or parked before their turn.
	Ahead []uint64 `json:"ahead,omitempty"`
	// Begin is the last sequence before the receiver was there: what is up to it was
	// never meant for it.
	Begin uint64 `json:"begin,omitempty"`
	// Unmade says that there was no queue yet: one that is found all the same is older,
	// and knows better than Done what was delivered.
	Unmade bool `json:"unmade,omitempty"`

	Times  // in JSON two keys of the position
	Status // in JSON keys of the position
}

// Status is how a delivery stands, for people.
type Status struct {
	// Error is why the last try failed, Tries how many have failed in a row, Since when
	// the first of them did and Tried the last; zero after a success.
	Error string       `json:"error,omitempty"`
	Tries int          `json:"tries,omitempty"`
	Since *schema.Time `json:"since,omitempty"`
	Tried *schema.Time `json:"tried,omitempty"`
	// Trying is the last sequence of what was tried.
	Trying uint64 `json:"trying,omitempty"`
}

// raise says that everything up to a message was delivered.
func (p *Position) raise(seq uint64) {
	if seq > p.Done {
		p.Done, p.Stored = seq, time.Time{}
	}
}

// claim writes the position.
func (b *Inbox) claim(ctx context.Context) error {
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
		b.memory.set(b.Name(), at)
		b.unwritten = false
	}
	return err
}

// Resumes returns the last sequence of a batch that was being sent when the one before
// ended, 0 if none was.
func (b *Inbox) Resumes() uint64 {
	if b.at.Batch > b.at.Done {
		return b.at.Batch
	}
	return 0
}

// Begin writes the batch that is about to be sent, up to a sequence.
func (b *Inbox) Begin(ctx context.Context, last uint64) error {
	if b.at.Batch == last {
		return nil
	}
	b.at.Batch = last
	return b.claim(ctx)
}

// SetDelivered remembers up to where everything was delivered, so that it is not sent
// again if the server never gets the acknowledgement.
func (b *Inbox) SetDelivered(seq uint64) {
	b.done = max(b.done, seq)
	b.at.raise(b.done)
	b.at.Ahead = slices.DeleteFunc(b.at.Ahead, func(s uint64) bool { return s <= b.done })
}

// IsDone reports whether a notification was delivered, or parked, before its turn.
func (b *Inbox) IsDone(seq uint64) bool { return slices.Contains(b.at.Ahead, seq) }

// Alone returns the sequence of a notification that was being sent alone when the one
// before ended, 0 if none was.
func (b *Inbox) Alone() uint64 { return b.at.Alone }

// BeginAlone writes a notification that is about to be sent alone.
func (b *Inbox) BeginAlone(ctx context.Context, seq uint64) error {
	b.at.Alone = seq
	return b.claim(ctx)
}

// DoneAhead writes what is done before its turn, and that nothing is sent alone any more.
// A stop that is under way does not keep it from that.
func (b *Inbox) DoneAhead(ctx context.Context, seqs ...uint64) error {
	b.at.Alone = 0
	b.at.Ahead = append(b.at.Ahead, seqs...)
	return b.claim(context.WithoutCancel(ctx))
}

// SetFailed writes, for people, why a try of what is up to a sequence failed.
func (b *Inbox) SetFailed(ctx context.Context, seq uint64, err error) error {
	now := &schema.Time{Time: time.Now().UTC()}
	since := b.at.Since
	if b.at.Error == "" || since == nil {
		since = now
	}
	b.at.Status = Status{
		Error: fit.Text(err.Error(), maxError), Tries: b.at.Tries + 1, Since: since, Tried: now, Trying: seq,
	}
	return b.claim(ctx)
}

// SetRecovered writes that there is no error any more, and what was taken late.
func (b *Inbox) SetRecovered(ctx context.Context) error {
	if b.at.Status == (Status{}) && !b.unwritten {
		return nil
	}
	b.at.Status = Status{}
	return b.claim(context.WithoutCancel(ctx))
}

// BeginLater makes a queue that cannot be made now begin with what is stored from now on,
// whenever it is made. The inbox must have been opened, with whatever error.
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
	b.at = Position{
		Receiver: b.receiver, Stream: info.Created, Done: last, Begin: last, Unmade: true, Status: b.at.Status,
	}
	return b.claim(ctx)
}

// Memory remembers where the receivers stand: a queue that vanishes together with its
// position was not a new one. The zero value is empty; a nil one forgets. It is safe for
// concurrent use.
type Memory struct {
	mu sync.Mutex
	at map[string]Position // by consumer
}

// of returns nil if a queue was never opened.
func (m *Memory) of(name string) *Position {
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

func (m *Memory) set(name string, at Position) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.at == nil {
		m.at = map[string]Position{}
	}
	m.at[name] = at
}

// furthest returns which of two positions says more of the stream that was created at a
// time: nil if both are nil.
func furthest(stored, remembered *Position, created time.Time) *Position {
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
