package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/consumer/records"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// neverAgain is when the server delivers by itself again what is not
	// acknowledged: a mail server may be down for weeks, and whoever opens an
	// inbox begins with what was in flight.
	neverAgain = 365 * 24 * time.Hour
	// chunk is how many notifications are asked for at a time.
	chunk = 100
	// ackTimeout is how long to wait for the server's answer to a write.
	ackTimeout = 5 * time.Second
)

// errReopen says that an inbox has to be opened again, and that nothing is wrong.
var errReopen = errors.New("inbox is to be opened again")

// position is the record of a delivery in the bucket of leases. Each write names
// the revision that it replaces: an instance that was frozen while another took
// over writes no more, and so sends no more.
type position struct {
	Receiver string `json:"receiver"`
	// Stream is when the stream of notifications was created: the numbers of
	// another one begin anew.
	Stream time.Time `json:"stream"`
	// Done is a sequence up to which everything was delivered, Stored when the stream
	// got that message; zero if that is not known. By both a stream is recognised that
	// was restored from a backup.
	Done   uint64    `json:"done"`
	Stored time.Time `json:"stored,omitzero"`
	// Batch is the last sequence of the batch that is being sent. After a restart
	// the same batch is sent, so that its Message-ID is the same.
	Batch uint64 `json:"batch,omitempty"`
	// Alone is a sequence that is being sent alone, before its turn.
	Alone uint64 `json:"alone,omitempty"`
	// Ahead are sequences after Done that were delivered or parked before their turn.
	Ahead []uint64 `json:"ahead,omitempty"`
	// Begin is the last sequence before the receiver was there: what is up to it was
	// never meant for it.
	Begin uint64 `json:"begin,omitempty"`
	// Unmade says that there was no queue yet: one that is found all the same is older, and
	// knows better than Done what was delivered.
	Unmade bool `json:"unmade,omitempty"`
	// Late are the last batches that were taken some time after they were made, Forgot the
	// highest sequence of those that are not kept any more.
	Late   []lateBatch `json:"late,omitempty"`
	Forgot uint64      `json:"forgot,omitempty"`
	status
}

// status is how a delivery stands, for people.
type status struct {
	// Error is why the last try failed, Tries how many have failed in a row, Since
	// when the first of them did and Tried the last; zero after a success.
	Error string       `json:"error,omitempty"`
	Tries int          `json:"tries,omitempty"`
	Since *schema.Time `json:"since,omitempty"`
	Tried *schema.Time `json:"tried,omitempty"`
	// Trying is the last sequence of what was tried.
	Trying uint64 `json:"trying,omitempty"`
}

// inbox reads the notifications for one receiver, in the order of the stream. It
// holds none of them; what was returned and not acknowledged comes again when it
// is opened again.
type inbox struct {
	durable
	js       jetstream.JetStream
	receiver string
	log      zerolog.Logger

	positions *records.Table[position]
	at        position
	consumer  jetstream.Consumer
	order     contiguous
	// done is what this process has delivered, stored at doneAt: its acknowledgement
	// may be lost.
	done   uint64
	doneAt time.Time
	// isLate says that Late has something that was not written.
	isLate bool
	// queues has where this receiver stood when it was opened last, or is nil.
	queues *queues
	// left is what a consumer that acknowledged each message had in flight.
	left []jetstream.Msg
	old  bool
}

func newInbox(js jetstream.JetStream, receiver string, log zerolog.Logger) *inbox {
	return &inbox{
		durable: durable{stream: stream.Alerts, name: deliveryName(receiver), ackWait: neverAgain},
		js:      js, receiver: receiver, log: log,
	}
}

// open finds where the receiver stands, takes it over from any other instance and
// makes the consumer begin there. One that is new begins with what is stored from
// now on; one whose queue or stream has vanished is not new.
func (b *inbox) open(ctx context.Context) error { return health.Unbroken(ctx, b.js.Conn(), b.openOver) }

func (b *inbox) openOver(ctx context.Context) error {
	b.left, b.old = nil, false
	var err error
	if b.positions, err = records.OpenTable[position](ctx, b.js, stream.LeasesBucket, b.log); err != nil {
		return err
	}
	alerts, err := b.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	was, err := b.positions.Get(ctx, b.name)
	if err != nil {
		return err
	}
	was = newer(was, b.queues.of(b.name), alerts.CachedInfo().Created)
	back, err := b.resume(ctx, alerts, was)
	if err != nil {
		return err
	}

	have, err := b.look(ctx, b.js)
	if err != nil {
		return err
	}
	if have != nil && have.Config.AckPolicy == jetstream.AckExplicitPolicy && have.NumAckPending > 0 {
		return b.openOld(ctx, have)
	}
	if b.at.Unmade && have != nil {
		b.at.Done, b.at.Stored, b.at.Begin = 0, time.Time{}, 0
	}
	isNew := was == nil && have == nil
	b.consumer, err = b.durable.open(ctx, b.js, func(have *jetstream.ConsumerInfo) (*beginning, error) {
		switch {
		case have == nil && was == nil:
			return &beginning{policy: jetstream.DeliverNewPolicy}, nil
		case back != nil:
			begin := back
			back = nil // the consumer that is made now is right
			return begin, nil
		case have == nil:
			return from(b.at.Done + 1), nil
		}
		b.raise(have.AckFloor.Stream)
		if have.NumAckPending == 0 && b.at.Done == have.AckFloor.Stream && have.Config.AckPolicy == jetstream.AckAllPolicy {
			return nil, nil
		}
		// In case that we get no further than to delete the old one.
		return from(b.at.Done + 1), b.claim(ctx)
	})
	if err != nil {
		return err
	}
	have = b.consumer.CachedInfo()
	b.order = contiguous{seen: have.Delivered.Consumer}
	b.raise(have.AckFloor.Stream)
	if isNew {
		b.at.Begin = b.at.Done
	}
	b.at.Unmade = false
	return b.claim(ctx)
}

// resume finds out where the receiver stands in the stream that there is now. back is
// where its consumer has to begin, if the stream was restored from a backup: after
// what was delivered, by the time at which that was stored.
func (b *inbox) resume(ctx context.Context, alerts jetstream.Stream, was *position) (back *beginning, err error) {
	info := alerts.CachedInfo()
	before := b.at
	b.at = position{Receiver: b.receiver, Stream: info.Created, status: b.at.status}
	if was == nil || !was.Stream.Equal(info.Created) {
		if was != nil {
			b.log.Warn().Time("created", info.Created).Msg("stream of notifications is another one than before; what waited in the old one cannot be delivered any more")
		}
		b.done, b.doneAt = 0, time.Time{}
		return nil, nil
	}

	b.at = *was
	b.at.Receiver = b.receiver
	b.keepLate(before)
	if b.done > b.at.Done {
		b.at.Done, b.at.Stored = b.done, b.doneAt
	}
	restored, err := wentBack(ctx, alerts, b.at.Done, b.at.Stored)
	if err != nil || !restored {
		return nil, err
	}
	b.log.Warn().Uint64("last_seq", info.State.LastSeq).Uint64("delivered", b.at.Done).
		Msg("stream of notifications was restored from a backup; what it lacks cannot be delivered any more")
	back = from(info.State.LastSeq + 1)
	if !b.at.Stored.IsZero() {
		back = after(b.at.Stored)
	}
	b.at = position{Receiver: b.receiver, Stream: info.Created}
	b.done, b.doneAt = 0, time.Time{}
	return back, nil
}

// raise says that everything up to a message was delivered.
func (b *inbox) raise(seq uint64) {
	if seq > b.at.Done {
		b.at.Done, b.at.Stored = seq, time.Time{}
	}
}

// claim writes the position.
func (b *inbox) claim(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	at := b.at
	err := health.Unbroken(ctx, b.js.Conn(), func(ctx context.Context) error {
		if _, err := b.positions.Get(ctx, b.name); err != nil {
			return err
		}
		b.positions.Set(b.name, &at)
		return b.positions.Flush(ctx)
	})
	if err == nil {
		b.queues.set(b.name, at)
		b.isLate = false
	}
	return err
}

// resumes returns the last sequence of a batch that was being sent, 0 if none was.
func (b *inbox) resumes() uint64 {
	if b.at.Batch > b.at.Done {
		return b.at.Batch
	}
	return 0
}

// begin remembers the batch that is about to be sent.
func (b *inbox) begin(ctx context.Context, last uint64) error {
	if b.at.Batch == last {
		return nil
	}
	b.at.Batch = last
	return b.claim(ctx)
}

// deliveredAt remembers when the last message was stored that was delivered.
func (b *inbox) deliveredAt(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil || meta.Sequence.Stream != b.at.Done {
		return
	}
	b.at.Stored = meta.Timestamp
	if b.done == b.at.Done {
		b.doneAt = meta.Timestamp
	}
	b.queues.set(b.name, b.at)
}

// ack tells the server that a batch is delivered, and all before it.
func (b *inbox) ack(ctx context.Context, batch []jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	b.deliveredAt(batch[len(batch)-1])
	if !b.old {
		batch = batch[len(batch)-1:]
	}
	// A stop does not wait for an answer that never comes.
	return health.Unbroken(ctx, b.js.Conn(), func(ctx context.Context) error {
		for _, m := range batch {
			if err := m.DoubleAck(ctx); err != nil {
				return fmt.Errorf("acknowledge notifications: %w", err)
			}
		}
		return nil
	})
}

// next waits for a notification, up to a time. None without an error means that
// there was none.
func (b *inbox) next(ctx context.Context, until time.Duration) ([]jetstream.Msg, error) {
	if b.old {
		return b.nextOld()
	}
	soon, cancel := context.WithTimeout(ctx, max(until, 10*time.Millisecond))
	defer cancel()
	m, err := b.consumer.Next(jetstream.FetchContext(soon))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return nil, b.check(ctx)
	case err != nil:
		return nil, fmt.Errorf("wait for notifications: %w", err)
	}
	return b.take(nil, m)
}

// more returns what is there now, up to so many messages and bytes; the last
// request may bring more bytes.
func (b *inbox) more(ctx context.Context, count, size int) (msgs []jetstream.Msg, err error) {
	for !b.old && len(msgs) < count && size > 0 {
		got, err := b.consumer.FetchNoWait(min(chunk, count-len(msgs)))
		if err != nil {
			return nil, fmt.Errorf("fetch notifications: %w", err)
		}
		n := 0
		for m := range got.Messages() {
			if msgs, err = b.take(msgs, m); err != nil {
				return nil, err
			}
			size -= len(m.Data())
			n++
		}
		if err := got.Error(); err != nil {
			return nil, fmt.Errorf("fetch notifications: %w", err)
		}
		if n == 0 || ctx.Err() != nil {
			return msgs, ctx.Err()
		}
	}
	return msgs, nil
}

func (b *inbox) take(msgs []jetstream.Msg, m jetstream.Msg) ([]jetstream.Msg, error) {
	meta, err := m.Metadata()
	if err != nil {
		return msgs, fmt.Errorf("read a message's metadata: %w", err)
	}
	fresh, err := b.order.next(meta)
	if err != nil || !fresh {
		return msgs, err
	}
	return append(msgs, m), nil
}

// check looks for notifications that were sent to us and did not arrive.
func (b *inbox) check(ctx context.Context) error {
	var info *jetstream.ConsumerInfo
	err := health.Unbroken(ctx, b.js.Conn(), func(ctx context.Context) (err error) {
		info, err = b.consumer.Info(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", b.name, err)
	}
	if info.Delivered.Consumer != b.order.seen {
		return errReopen
	}
	return nil
}

// waiting is how many notifications are not acknowledged.
func (b *inbox) waiting(ctx context.Context) (uint64, error) {
	have, err := b.look(ctx, b.js)
	if err != nil || have == nil {
		return 0, err
	}
	return have.NumPending + uint64(have.NumAckPending), nil
}
