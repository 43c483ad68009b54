package consumertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"supernats/consumer"
)

// events is how many events a check has.
const events = 60

func inOrder(ctx context.Context, b *bench) error {
	return b.wrapped(ctx, true, func(h consumer.Handler) consumer.Handler { return h })
}

// wrapped runs the Handler in another one over some events.
func (b *bench) wrapped(ctx context.Context, order bool, wrap func(consumer.Handler) consumer.Handler) error {
	h, _, err := b.open(ctx)
	if err != nil {
		return err
	}
	if err := b.publish(ctx, events); err != nil {
		return err
	}
	if _, err := b.run(wrap(h)); err != nil {
		return err
	}
	if err := b.settled(ctx); err != nil {
		return err
	}
	return b.effects(ctx, order)
}

// handle hands a message over as the only one.
func handle(ctx context.Context, h consumer.Handler, m *consumer.Message) error {
	if err := h.Handle(ctx, m); err != nil {
		return fmt.Errorf("handle message %d: %w", m.Seq, err)
	}
	return nil
}

func stored(ctx context.Context, b *bench) error {
	h, _, err := b.open(ctx)
	if err != nil {
		return err
	}
	for range 5 {
		if err := handle(ctx, h, b.message()); err != nil {
			return err
		}
		if err := b.effects(ctx, true); err != nil {
			return err
		}
	}
	return nil
}

func repeated(ctx context.Context, b *bench) error {
	h, stop, err := b.open(ctx)
	if err != nil {
		return err
	}
	var past []*consumer.Message
	for range 10 {
		past = append(past, b.message())
		if err := handle(ctx, h, past[len(past)-1]); err != nil {
			return err
		}
		for _, m := range past { // the last one again, and all before it
			again := *m
			again.Tries++
			if err := handle(ctx, h, &again); err != nil {
				return err
			}
		}
	}
	// Whoever starts again has not forgotten.
	if err := stop(); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	if h, _, err = b.open(ctx); err != nil {
		return err
	}
	for _, m := range past {
		if err := handle(ctx, h, m); err != nil {
			return err
		}
	}
	return b.effects(ctx, true)
}

var errLost = errors.New("the acknowledgement is lost")

func unacknowledged(ctx context.Context, b *bench) error {
	return b.wrapped(ctx, false, func(h consumer.Handler) consumer.Handler {
		return consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			err := h.Handle(ctx, m)
			if err == nil && m.Seq%3 == 0 && m.Tries <= 2 {
				return errLost
			}
			return err
		})
	})
}

func postponed(ctx context.Context, b *bench) error {
	return b.wrapped(ctx, false, func(h consumer.Handler) consumer.Handler {
		return consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			if m.Seq%4 == 1 && m.Tries == 1 {
				return errors.New("not now")
			}
			return h.Handle(ctx, m)
		})
	})
}

func malformed(ctx context.Context, b *bench) error {
	h, _, err := b.open(ctx)
	if err != nil {
		return err
	}
	for _, garbage := range []string{"", "garbage", "null", "{}", `{"specversion":"1.0","id":"a","type":"t"}`, `{"specversion":"1.0","id":"a","type":"t","data":{}}`} {
		if err := b.publish(ctx, 3); err != nil {
			return err
		}
		if _, err := b.js.Publish(ctx, "supervisor.event.web1.api.api_00.process_state.exited", []byte(garbage)); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	if err := b.publish(ctx, 3); err != nil {
		return err
	}
	if _, err := b.run(h); err != nil {
		return err
	}
	if err := b.settled(ctx); err != nil {
		return err
	}
	return b.effects(ctx, false)
}

// grace is how long a Handler may take to notice that its context has ended.
const grace = 10 * time.Second

func canceled(ctx context.Context, b *bench) error {
	h, _, err := b.open(ctx)
	if err != nil {
		return err
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	for range 5 {
		m := b.message()
		answer := make(chan error, 1)
		go func() { answer <- h.Handle(over, m) }()
		select {
		case err = <-answer:
		case <-time.After(grace):
			return fmt.Errorf("for %v after the end of its context Handle does not return", grace)
		}
		if err == nil { // then it is done
			if err := b.effects(ctx, true); err != nil {
				return fmt.Errorf("nil was returned after the end of the context: %w", err)
			}
		}
		if err := handle(ctx, h, m); err != nil {
			return err
		}
	}
	return b.effects(ctx, true)
}

func restarted(ctx context.Context, b *bench) error { return b.lives(ctx, true) }
func killed(ctx context.Context, b *bench) error    { return b.lives(ctx, false) }

// lives handles the events in several lives of a program, each of which ends in
// the middle of a message, after its effect.
func (b *bench) lives(ctx context.Context, clean bool) error {
	if err := b.publish(ctx, events); err != nil {
		return err
	}
	for life := range 6 {
		h, closeStore, err := b.open(ctx)
		if err != nil {
			return fmt.Errorf("start %d: %w", life+1, err)
		}
		var handled atomic.Int64
		end := make(chan struct{})
		stop, err := b.run(consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			err := h.Handle(ctx, m)
			if life < 5 && handled.Add(1) == events/8 {
				close(end)
				<-ctx.Done() // nothing is acknowledged any more
				return ctx.Err()
			}
			return err
		}))
		if err != nil {
			return err
		}
		if life == 5 {
			break
		}
		select {
		case <-end:
		case <-time.After(Patience):
			return fmt.Errorf("after start %d only %d messages were handled", life+1, handled.Load())
		}
		stop()
		if clean {
			if err := closeStore(); err != nil {
				return fmt.Errorf("stop: %w", err)
			}
		}
	}
	if err := b.settled(ctx); err != nil {
		return err
	}
	return b.effects(ctx, false)
}

func serverRestarted(ctx context.Context, b *bench) error {
	h, _, err := b.open(ctx)
	if err != nil {
		return err
	}
	if err := b.publish(ctx, events); err != nil {
		return err
	}
	half, goOn := make(chan struct{}), make(chan struct{})
	if _, err := b.run(consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
		err := h.Handle(ctx, m)
		if m.Seq == events/2 && m.Tries == 1 {
			close(half)
			<-goOn // the server goes before it is told
		}
		return err
	})); err != nil {
		return err
	}
	select {
	case <-half:
	case <-time.After(Patience):
		return errors.New("half of the messages are never handled")
	}
	b.server.Stop()
	close(goOn)
	b.server.Restart()
	if err := b.settled(ctx); err != nil {
		return err
	}
	return b.effects(ctx, false)
}
