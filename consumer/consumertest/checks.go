package consumertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"supernats/consumer"
)

const (
	// events is how many events a check has.
	events = 60
	// lives is how often a program is started to handle them.
	lives = 6
	// grace is how long a Handler may take to notice that its context has ended.
	grace = 10 * time.Second
)

func checkOrder(ctx context.Context, b *bench) error {
	return b.handleAll(ctx, true, func(h consumer.Handler) consumer.Handler { return h })
}

// handleAll has some events handled by the Handler within another one.
func (b *bench) handleAll(ctx context.Context, inOrder bool, wrap func(consumer.Handler) consumer.Handler) error {
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
	if err := b.waitSettled(ctx); err != nil {
		return err
	}
	return b.checkEffects(ctx, inOrder)
}

// handle has a single message handled.
func handle(ctx context.Context, h consumer.Handler, m *consumer.Message) error {
	if err := h.Handle(ctx, m); err != nil {
		return fmt.Errorf("handle message %d: %w", m.Seq, err)
	}
	return nil
}

func checkStored(ctx context.Context, b *bench) error {
	h, _, err := b.open(ctx)
	if err != nil {
		return err
	}

	for range 5 {
		if err := handle(ctx, h, b.nextMessage()); err != nil {
			return err
		}
		if err := b.checkEffects(ctx, true); err != nil {
			return err
		}
	}
	return nil
}

func checkRepeated(ctx context.Context, b *bench) error {
	h, stop, err := b.open(ctx)
	if err != nil {
		return err
	}

	var past []*consumer.Message
	for range 10 {
		past = append(past, b.nextMessage())
		if err := handle(ctx, h, past[len(past)-1]); err != nil {
			return err
		}
		for _, m := range past { // the last one once more, and all before it
			repeated := *m
			repeated.Tries++
			if err := handle(ctx, h, &repeated); err != nil {
				return err
			}
		}
	}

	// The store remembers them over a restart.
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
	return b.checkEffects(ctx, true)
}

var errLost = errors.New("the acknowledgement is lost")

func checkUnacknowledged(ctx context.Context, b *bench) error {
	return b.handleAll(ctx, false, func(h consumer.Handler) consumer.Handler {
		return consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			err := h.Handle(ctx, m)
			if err == nil && m.Seq%3 == 0 && m.Tries <= 2 {
				return errLost
			}
			return err
		})
	})
}

func checkPostponed(ctx context.Context, b *bench) error {
	return b.handleAll(ctx, false, func(h consumer.Handler) consumer.Handler {
		return consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			if m.Seq%4 == 1 && m.Tries == 1 {
				return errors.New("not now")
			}
			return h.Handle(ctx, m)
		})
	})
}

func checkMalformed(ctx context.Context, b *bench) error {
	h, _, err := b.open(ctx)
	if err != nil {
		return err
	}

	const subject = "supervisor.event.web1.api.api_00.process_state.exited"
	for _, garbage := range []string{
		"", "garbage", "null", "{}",
		`{"specversion":"1.0","id":"a","type":"t"}`,
		`{"specversion":"1.0","id":"a","type":"t","data":{}}`,
	} {
		if err := b.publish(ctx, 3); err != nil {
			return err
		}
		if _, err := b.js.Publish(ctx, subject, []byte(garbage)); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}

	if err := b.publish(ctx, 3); err != nil {
		return err
	}
	if _, err := b.run(h); err != nil {
		return err
	}
	if err := b.waitSettled(ctx); err != nil {
		return err
	}
	return b.checkEffects(ctx, false)
}

func checkCanceled(ctx context.Context, b *bench) error {
	h, _, err := b.open(ctx)
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()

	for range 5 {
		m := b.nextMessage()
		answer := make(chan error, 1)
		go func() { answer <- h.Handle(ended, m) }()
		select {
		case err = <-answer:
		case <-time.After(grace):
			return fmt.Errorf("no answer from Handle within %v after the end of its context", grace)
		}
		if err == nil { // then the effect must be stored
			if err := b.checkEffects(ctx, true); err != nil {
				return fmt.Errorf("nil was returned after the end of the context: %w", err)
			}
		}

		// The message comes again in any case.
		if err := handle(ctx, h, m); err != nil {
			return err
		}
	}
	return b.checkEffects(ctx, true)
}

func checkRestarted(ctx context.Context, b *bench) error { return b.handleInLives(ctx, true) }
func checkKilled(ctx context.Context, b *bench) error    { return b.handleInLives(ctx, false) }

// handleInLives has the events handled in several lives of a program. Each but the last one
// ends in the middle of a message, after its effect.
func (b *bench) handleInLives(ctx context.Context, clean bool) error {
	if err := b.publish(ctx, events); err != nil {
		return err
	}
	for life := 1; life < lives; life++ {
		if err := b.handleSome(ctx, life, clean); err != nil {
			return err
		}
	}

	h, _, err := b.open(ctx)
	if err != nil {
		return fmt.Errorf("start %d: %w", lives, err)
	}
	if _, err := b.run(h); err != nil {
		return err
	}
	if err := b.waitSettled(ctx); err != nil {
		return err
	}
	return b.checkEffects(ctx, false)
}

// handleSome is one life of a program.
func (b *bench) handleSome(ctx context.Context, life int, clean bool) error {
	h, closeStore, err := b.open(ctx)
	if err != nil {
		return fmt.Errorf("start %d: %w", life, err)
	}
	var handled atomic.Int64
	enough := make(chan struct{})
	stop, err := b.run(consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
		err := h.Handle(ctx, m)
		if handled.Add(1) == events/8 {
			close(enough)
			<-ctx.Done() // nothing is acknowledged any more
			return ctx.Err()
		}
		return err
	}))
	if err != nil {
		return err
	}

	select {
	case <-enough:
	case <-time.After(Patience):
		return fmt.Errorf("after start %d only %d messages were handled", life, handled.Load())
	}
	stop()
	if !clean {
		return nil
	}
	if err := closeStore(); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

func checkServerRestarted(ctx context.Context, b *bench) error {
	h, _, err := b.open(ctx)
	if err != nil {
		return err
	}
	if err := b.publish(ctx, events); err != nil {
		return err
	}

	// The server stops between the effect of a message and its acknowledgement.
	half := make(chan struct{})
	stopped := make(chan struct{})
	if _, err := b.run(consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
		err := h.Handle(ctx, m)
		if m.Seq == events/2 && m.Tries == 1 {
			close(half)
			<-stopped
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
	close(stopped)
	b.server.Restart()

	if err := b.waitSettled(ctx); err != nil {
		return err
	}
	return b.checkEffects(ctx, false)
}
