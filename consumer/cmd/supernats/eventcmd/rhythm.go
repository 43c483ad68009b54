package eventcmd

import (
	"context"
	"time"

	"supernats/consumer/terminal"
	"supernats/consumer/wording"
)

const (
	// maxSilence is how long one waits for the next event at most.
	maxSilence = 10 * time.Second
	// maxBehind is by how much the rhythm may be late, and hurry.
	maxBehind = time.Second
)

// rhythm lets events pass as they happened, or faster.
type rhythm struct {
	speed float64
	// before is called before waiting, to show what has passed.
	before func() error

	// last is when the last event happened, due when it was to pass.
	last, due time.Time
}

// wait waits for the time of an event, or until ctx ends, whose error it returns. One that
// is older than the one before passes at once.
func (r *rhythm) wait(ctx context.Context, happened time.Time) error {
	if r.last.IsZero() {
		r.last, r.due = happened, time.Now()
		return nil
	}
	silence := max(0, happened.Sub(r.last))
	if happened.After(r.last) {
		r.last = happened
	}

	pause := time.Duration(float64(silence) / r.speed)
	if pause > maxSilence {
		terminal.Say("supernats: then nothing for %s, of which %s pass",
			wording.Span(silence), wording.Span(maxSilence))
		pause = maxSilence
	}
	r.due = r.due.Add(pause)
	if behind := time.Since(r.due); behind > 0 {
		if behind > maxBehind {
			r.due = time.Now()
		}
		return nil
	}

	if err := r.before(); err != nil {
		return err
	}
	t := time.NewTimer(time.Until(r.due))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
