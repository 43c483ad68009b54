// Package acks matches the messages that are published over one connection with the
// stream's answers. The library's futures cost a timer, a map entry and two channels for
// each message, and every event goes through here.
//
// Under pressure: at most Window messages are in flight, and Publish returns an error for
// one more. Every message ends, at the latest after the time limit. No message is sent again
// from here: it would overtake what was sent since.
package acks

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Window is how many messages may be in flight.
const Window = 2048

var errRingFull = errors.New("more messages are in flight than a window")

// Ring holds what became of the messages that were published over one connection.
//
//   - Each message has a number, which is never used twice. It is the last token of the
//     subject that the answer is sent to.
//   - The number's place in the ring holds the answer until it is taken.
//   - Publish, Await, Ended, Peek and Take are called from one goroutine.
//   - The caller of New closes the ring, and after it the connection, which ends the
//     subscription.
type Ring struct {
	nc      *nats.Conn
	stream  string // whose answers are expected
	timeout time.Duration
	status  chan nats.Status
	failing sync.WaitGroup // the goroutine that watches the connection

	// These belong to the goroutine that publishes. prefix is the subject of answers
	// without the number. It is empty until something is published: if the server denies
	// the subscription, a session that publishes has to see the denial.
	prefix string
	reply  []byte // subject of the last message's answer

	mu      sync.Mutex // guards what follows
	places  [Window]place
	last    uint64        // the number of the message published last
	cut     bool          // the connection broke, and nothing was acknowledged since
	awaited uint64        // the number of the last Await
	wake    chan struct{} // receives a value when that message ends; holds one
	timer   *time.Timer   // fires when the oldest message may be too old; nil if nothing is in flight
}

// place holds the answer to one message.
type place struct {
	number uint64 // of the message; 0 if the place is free
	sent   time.Time
	ended  bool
	answer Answer // once it has ended
}

// New returns the ring of a connection, whose status it watches until Close. A message
// without an answer ends after timeout.
func New(nc *nats.Conn, stream string, timeout time.Duration) *Ring {
	r := &Ring{
		nc: nc, stream: stream, timeout: timeout, wake: make(chan struct{}, 1),
		status: nc.StatusChanged(nats.RECONNECTING, nats.CLOSED),
	}

	r.failing.Go(func() {
		for range r.status {
			r.endDisconnected()
		}
	})
	return r
}

// Close stops watching the connection; nothing may be published any more.
func (r *Ring) Close() {
	r.nc.RemoveStatusListener(r.status)
	r.failing.Wait()

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
}

// Publish gives a message a reply subject, sends it, and returns its number, which is not 0.
func (r *Ring) Publish(m *nats.Msg) (number uint64, err error) {
	if err := r.subscribe(); err != nil {
		return 0, err
	}
	number, err = r.takePlace()
	if err != nil {
		return 0, err
	}

	r.reply = strconv.AppendUint(append(r.reply[:0], r.prefix...), number, 10)
	m.Reply = string(r.reply)
	if err := r.nc.PublishMsg(m); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.placeOf(number).number = 0
		return 0, err
	}
	return number, nil
}

// subscribe subscribes to the answers, once.
func (r *Ring) subscribe() error {
	if r.prefix != "" {
		return nil
	}

	prefix := r.nc.NewInbox() + "."
	sub, err := r.nc.Subscribe(prefix+"*", func(m *nats.Msg) {
		if number, err := strconv.ParseUint(m.Subject[len(prefix):], 10, 64); err == nil {
			r.endAnswered(number, r.readAnswer(m))
		}
	})
	if err == nil {
		// The library must not drop an answer: no more than a window of them can wait.
		err = sub.SetPendingLimits(-1, -1)
	}
	if err != nil {
		return fmt.Errorf("subscribe to acknowledgements: %w", err)
	}

	r.prefix = prefix
	return nil
}

// takePlace returns the number of a new message, whose place is taken.
func (r *Ring) takePlace() (number uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	number = r.last + 1
	p := r.placeOf(number)
	if p.number != 0 {
		return 0, errRingFull
	}

	r.last = number
	*p = place{number: number, sent: time.Now()}
	if r.timer == nil {
		r.timer = time.AfterFunc(r.timeout, r.endExpired)
	}
	return number, nil
}

// Await returns a channel that receives a value when a message has ended. The channel is
// valid until the next call.
func (r *Ring) Await(number uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.wake: // from the call before
	default:
	}

	r.awaited = number
	if r.hasEnded(number) {
		r.wake <- struct{}{}
	}
	return r.wake
}

// Ended reports whether a message has ended. It is true for number 0, and for a number that
// is not in the ring.
func (r *Ring) Ended(number uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hasEnded(number)
}

func (r *Ring) hasEnded(number uint64) bool {
	p := r.placeOf(number)
	return number == 0 || p.number != number || p.ended
}

// Take returns what became of a message, and frees its place; ok is false as long as it
// has not ended.
func (r *Ring) Take(number uint64) (_ Answer, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, ok := r.answerTo(number)
	if ok {
		r.placeOf(number).number = 0
	}
	return answer, ok
}

// Peek returns what Take would, and leaves it in its place.
func (r *Ring) Peek(number uint64) (_ Answer, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answerTo(number)
}

// answerTo returns what became of a message, if it has ended. r.mu is held.
func (r *Ring) answerTo(number uint64) (_ Answer, ok bool) {
	p := r.placeOf(number)
	if number == 0 || p.number != number || !p.ended {
		return Answer{}, false
	}
	return p.answer, true
}

// Broken reports whether the connection broke and nothing was acknowledged since: the stream
// may be coming up.
func (r *Ring) Broken() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut || len(r.status) > 0
}

func (r *Ring) placeOf(number uint64) *place { return &r.places[number%Window] }

// end notes what became of a message. r.mu is held.
func (r *Ring) end(p *place, with Answer) {
	p.ended = true
	p.answer = with
	if p.number == r.awaited {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// endAnswered is called for each answer. An answer is late, and does not count, if its
// message has ended, or was taken out of the ring.
func (r *Ring) endAnswered(number uint64, with Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.placeOf(number); number != 0 && p.number == number && !p.ended {
		r.cut = r.cut && with.Stream != r.stream
		r.end(p, with)
	}
}

// endDisconnected ends everything in flight: answers that the connection has lost do not
// come.
func (r *Ring) endDisconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = true
	for i := range r.places {
		if p := &r.places[i]; p.number != 0 && !p.ended {
			r.end(p, Answer{Err: nats.ErrDisconnected})
		}
	}
}

// endExpired ends what has waited for too long, and is called again when the oldest of the
// rest has.
func (r *Ring) endExpired() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil

	now := time.Now()
	var oldest time.Duration // how long the oldest has left; 0 if nothing is in flight
	for i := range r.places {
		p := &r.places[i]
		if p.number == 0 || p.ended {
			continue
		}
		left := r.timeout - now.Sub(p.sent)
		if left <= 0 {
			r.end(p, Answer{Err: jetstream.ErrAsyncPublishTimeout})
			continue
		}
		if oldest == 0 || left < oldest {
			oldest = left
		}
	}

	if oldest > 0 {
		r.timer = time.AfterFunc(oldest, r.endExpired)
	}
}
