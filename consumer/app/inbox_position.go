package app

import (
	"context"
	"slices"
	"time"

	"supernats/consumer/fit"
	"supernats/schema"
)

// maxError is how much of an error stands in a position, in bytes.
const maxError = 1 << 10

// delivered remembers up to where everything is, so that it is not sent again if
// the server does not hear of it.
func (b *inbox) delivered(seq uint64) {
	b.done = max(b.done, seq)
	b.raise(b.done)
	b.at.Ahead = slices.DeleteFunc(b.at.Ahead, func(s uint64) bool { return s <= b.done })
}

// isDone reports whether a notification was delivered, or parked, before its turn.
func (b *inbox) isDone(seq uint64) bool { return slices.Contains(b.at.Ahead, seq) }

// beginAlone remembers a notification that is about to be sent alone.
func (b *inbox) beginAlone(ctx context.Context, seq uint64) error {
	b.at.Alone = seq
	return b.claim(ctx)
}

// ahead remembers what is done before its turn, and that nothing is sent alone any
// more. A stop that is under way does not keep it from that.
func (b *inbox) ahead(ctx context.Context, seqs ...uint64) error {
	b.at.Alone, b.at.Ahead = 0, append(b.at.Ahead, seqs...)
	return b.claim(context.WithoutCancel(ctx))
}

// failed tells whoever looks why a try of what is up to a sequence failed.
func (b *inbox) failed(ctx context.Context, seq uint64, err error) error {
	now := &schema.Time{Time: time.Now().UTC()}
	since := b.at.Since
	if b.at.Error == "" || since == nil {
		since = now
	}
	b.at.status = status{Error: fit.Text(err.Error(), maxError), Tries: b.at.Tries + 1, Since: since, Tried: now, Trying: seq}
	return b.claim(ctx)
}

// recovered tells that there is no error any more, and what was taken late.
func (b *inbox) recovered(ctx context.Context) error {
	if b.at.status == (status{}) && !b.isLate {
		return nil
	}
	b.at.status = status{}
	return b.claim(context.WithoutCancel(ctx))
}
