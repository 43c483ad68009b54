package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

type tailCmd struct {
	filters
	outputFlag
}

// Run prints events until it is interrupted, or --until is there.
func (t *tailCmd) Run(ctx context.Context, c *common) error {
	if until := t.Until; !until.IsZero() && t.Since.IsZero() && until.Before(time.Now()) {
		return usageError{fmt.Errorf("--until %s is over, and tail prints what is to come: give --since too, or a time to come (+5m)", until.Format(time.RFC3339))}
	}
	return t.read(ctx, c, t.Output, true)
}

type replayCmd struct {
	filters
	outputFlag
}

// Run prints what the stream holds now.
func (r *replayCmd) Run(ctx context.Context, c *common) error {
	return r.read(ctx, c, r.Output, false)
}

// read prints the events that pass the filters: those that are stored, or, if
// follow is set, those to come (from --since on).
func (f *filters) read(ctx context.Context, c *common, output string, follow bool) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	for _, name := range filter.Events {
		if strings.HasPrefix(name, schema.TypeBridgePrefix) {
			return usageError{fmt.Errorf("--event %q is no event of supervisor: `supernats alerts` and `supernats hosts` show what the bridges report themselves", name)}
		}
	}
	return c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		return f.readFrom(ctx, js, filter, output, follow)
	})
}

func (f *filters) readFrom(ctx context.Context, js jetstream.JetStream, filter consumer.Filter, output string, follow bool) error {
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w (it is created by `supernats consume` and by the first supernats-bridge)", stream.Events, err)
	}
	last := s.CachedInfo().State.LastSeq
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: filter.Subjects()}
	switch {
	case !f.Since.IsZero():
		// By the time of storing, which is never before that of the event.
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &f.Since.Time
	case follow:
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	oc, err := s.OrderedConsumer(ctx, cfg)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	p := newPrinter(os.Stdout, output)
	if follow {
		f.hint(isRegexp)
	} else {
		defer func() {
			if p.count == 0 {
				f.hint(looksLikeRegexp)
			}
		}()
	}
	behind := oc.CachedInfo().NumPending > 0
	waiting := ctx
	if follow && !f.Until.IsZero() {
		// What happened just before it is stored a little later.
		var cancel context.CancelFunc
		waiting, cancel = context.WithDeadline(ctx, f.Until.Add(time.Second))
		defer cancel()
	}
	if (!follow || waiting.Err() != nil) && !behind {
		return p.end()
	}
	msgs, err := oc.Messages()
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	defer msgs.Stop()
	for printed := 0; ; {
		raw, err := msgs.Next(jetstream.NextContext(waiting))
		if err != nil && behind && ctx.Err() == nil && waiting.Err() != nil {
			// It is over, but not all that was stored by now has been read.
			if s, err = js.Stream(ctx, stream.Events); err != nil {
				return errors.Join(fmt.Errorf("look up stream %s: %w", stream.Events, err), p.end())
			}
			waiting, follow, last = ctx, false, s.CachedInfo().State.LastSeq
			continue
		}
		if err != nil && ctx.Err() == nil && waiting.Err() != nil {
			return p.end()
		}
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return p.end()
			}
			return errors.Join(fmt.Errorf("read stream %s: %w", stream.Events, err), p.end())
		}
		meta, err := raw.Metadata()
		if err != nil {
			return err
		}
		if f.passes(raw, meta, filter, p) {
			if err := p.event(raw.Data()); err != nil {
				return err
			}
			printed++
		}
		behind = meta.NumPending > 0
		if !behind {
			if err := p.flush(); err != nil {
				return err
			}
		}
		if printed == f.Limit && f.Limit > 0 || !follow && (!behind || meta.Sequence.Stream >= last) {
			return p.end()
		}
	}
}

// passes also lets through what cannot be decoded, as a warning on stderr.
// It goes by when an event happened, also where its host's clock is wrong.
func (f *filters) passes(raw jetstream.Msg, meta *jetstream.MsgMetadata, filter consumer.Filter, p *printer) bool {
	ce, err := (&consumer.Message{Subject: raw.Subject(), Data: raw.Data()}).Event()
	if err != nil {
		say("supernats: message on %q: %v", raw.Subject(), err)
		return false
	}
	p.last = ce
	sent := state.Meta{Stored: meta.Timestamp, Sent: consumer.SentAt(raw.Headers())}
	happened := schema.Time{Time: ce.Time.Add(state.ShiftBy(nil, sent, ce.Time.Time))}
	return filter.Match(ce.Data) && f.inTime(happened)
}
