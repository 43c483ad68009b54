package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// acks is what became of the messages published over one connection: the
// library's futures cost a timer, a map's entry and two channels a message, and
// every event goes through here.
//
// Each message has a number, never used twice, which is the last token of the
// subject that its answer comes to; the number's place in a ring holds the answer
// until it is taken. Every message comes to an end, in the time-out at the latest,
// and no message is sent again from here: it would overtake what was sent since.
//
// publish, await, ended and take are called from one goroutine. Whoever made it
// closes it, and then the connection, which ends the subscription.
type acks struct {
	nc      *nats.Conn
	stream  string // whose name answers have, as a rule
	timeout time.Duration
	status  chan nats.Status
	failing sync.WaitGroup
	// prefix is what answers come to, but for the number; empty before anything
	// was published: a subscription that the server denies is to be denied to one
	// who publishes.
	prefix string
	reply  []byte // of the last message

	mu      sync.Mutex
	ring    [window]slot
	last    uint64        // the number given last
	cut     bool          // the connection broke, and nothing was acknowledged since
	awaited uint64        // the number whose end wakes
	wake    chan struct{} // holds one value
	timer   *time.Timer   // runs out when the oldest message may be too old; nil if there is none
}

// slot is the place of one message.
type slot struct {
	n     uint64 // its number; 0 if the place is free
	sent  time.Time
	ended bool
	answer
}

// answer is what became of a message.
type answer struct {
	stream    string
	seq       uint64
	duplicate bool
	err       error
}

var errRingFull = errors.New("more messages are in flight than a window")

func newAcks(nc *nats.Conn, stream string, timeout time.Duration) *acks {
	a := &acks{
		nc: nc, stream: stream, timeout: timeout, wake: make(chan struct{}, 1),
		status: nc.StatusChanged(nats.RECONNECTING, nats.CLOSED),
	}
	a.failing.Go(func() {
		for range a.status {
			a.disconnected()
		}
	})
	return a
}

// close stops looking at the connection; nothing may be published any more.
func (a *acks) close() {
	a.nc.RemoveStatusListener(a.status)
	a.failing.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
}

// publish sends a message, gives it a reply subject, and returns its number, which
// is not 0.
func (a *acks) publish(m *nats.Msg) (uint64, error) {
	if err := a.subscribe(); err != nil {
		return 0, err
	}
	n, err := a.next()
	if err != nil {
		return 0, err
	}
	a.reply = strconv.AppendUint(append(a.reply[:0], a.prefix...), n, 10)
	m.Reply = string(a.reply)
	if err := a.nc.PublishMsg(m); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.at(n).n = 0
		return 0, err
	}
	return n, nil
}

func (a *acks) subscribe() error {
	if a.prefix != "" {
		return nil
	}
	prefix := a.nc.NewInbox() + "."
	sub, err := a.nc.Subscribe(prefix+"*", func(m *nats.Msg) {
		if n, err := strconv.ParseUint(m.Subject[len(prefix):], 10, 64); err == nil {
			a.answered(n, a.read(m))
		}
	})
	if err == nil {
		// The library is to drop no answer: there are no more than a window of them.
		err = sub.SetPendingLimits(-1, -1)
	}
	if err != nil {
		return fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	a.prefix = prefix
	return nil
}

// next gives a number, and takes its place.
func (a *acks) next() (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.last + 1
	s := a.at(n)
	if s.n != 0 {
		return 0, errRingFull
	}
	a.last = n
	*s = slot{n: n, sent: time.Now()}
	if a.timer == nil {
		a.timer = time.AfterFunc(a.timeout, a.expire)
	}
	return n, nil
}

// await returns a channel that gives a value when a message has ended, until the
// next call.
func (a *acks) await(n uint64) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.wake: // of the call before
	default:
	}
	a.awaited = n
	if a.over(n) {
		a.wake <- struct{}{}
	}
	return a.wake
}

// ended reports whether nothing more is to come of a message; nothing comes of
// number 0.
func (a *acks) ended(n uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over(n)
}

func (a *acks) over(n uint64) bool {
	s := a.at(n)
	return n == 0 || s.n != n || s.ended
}

// take returns what became of a message, and frees its place; ok is false as long
// as it has not ended.
func (a *acks) take(n uint64) (_ answer, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.at(n)
	if n == 0 || s.n != n || !s.ended {
		return answer{}, false
	}
	s.n = 0
	return s.answer, true
}

// peek returns what take would, and leaves it.
func (a *acks) peek(n uint64) (_ answer, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.at(n)
	if n == 0 || s.n != n || !s.ended {
		return answer{}, false
	}
	return s.answer, true
}

func (a *acks) at(n uint64) *slot { return &a.ring[n%window] }

// end notes what became of a message.
func (a *acks) end(s *slot, with answer) {
	s.ended, s.answer = true, with
	if s.n == a.awaited {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// answered is called for each answer. One to a message that has ended, or that
// was forgotten with its session, is late.
func (a *acks) answered(n uint64, with answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.at(n); n != 0 && s.n == n && !s.ended {
		a.cut = a.cut && with.stream != a.stream
		a.end(s, with)
	}
}

// broken reports that the connection broke, and that nothing was acknowledged since:
// the stream may be on its way up.
func (a *acks) broken() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cut || len(a.status) > 0
}

// disconnected ends everything in flight: what the connection has lost gets no
// answer.
func (a *acks) disconnected() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut = true
	for i := range a.ring {
		if s := &a.ring[i]; s.n != 0 && !s.ended {
			a.end(s, answer{err: nats.ErrDisconnected})
		}
	}
}

// expire ends what has waited for too long, and comes back when the oldest of the
// rest has.
func (a *acks) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = nil
	now, oldest := time.Now(), time.Duration(0)
	for i := range a.ring {
		s := &a.ring[i]
		if s.n == 0 || s.ended {
			continue
		}
		left := a.timeout - now.Sub(s.sent)
		if left <= 0 {
			a.end(s, answer{err: jetstream.ErrAsyncPublishTimeout})
			continue
		}
		if oldest == 0 || left < oldest {
			oldest = left
		}
	}
	if oldest > 0 {
		a.timer = time.AfterFunc(oldest, a.expire)
	}
}

// read is what an answer says. Its errors are those of the library.
func (a *acks) read(m *nats.Msg) answer {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" { // there are no responders
		return answer{err: jetstream.ErrNoStreamResponse}
	}
	if name, seq, duplicate, ok := cutAck(m.Data); ok {
		stream := a.stream
		if string(name) != stream {
			stream = string(name)
		}
		return answer{stream: stream, seq: seq, duplicate: duplicate}
	}
	return parseAck(m.Data)
}

// parseAck reads an answer of any form.
func parseAck(data []byte) answer {
	var r struct {
		Type  string              `json:"type"`
		Error *jetstream.APIError `json:"error"`
		*jetstream.PubAck
	}
	switch err := json.Unmarshal(data, &r); {
	case err != nil:
		return answer{err: jetstream.ErrInvalidJSAck}
	case r.Error != nil:
		return answer{err: r.Error}
	case r.PubAck == nil || r.Stream == "":
		return answer{err: jetstream.ErrInvalidJSAck}
	}
	return answer{stream: r.Stream, seq: r.Sequence, duplicate: r.Duplicate}
}

// cutAck reads an acknowledgement as nats-server writes it (stream.go pubAck), in
// a twentieth of the time of parseAck:
//
//	{"stream":"SUPERVISOR","domain":"hub","seq":123,"duplicate": true}
//
// domain and duplicate may be missing. ok is false for whatever differs.
func cutAck(b []byte) (stream []byte, seq uint64, duplicate, ok bool) {
	if b, ok = bytes.CutPrefix(b, []byte(`{"stream":"`)); !ok {
		return nil, 0, false, false
	}
	if stream, b, ok = cutPlain(b); !ok || len(stream) == 0 {
		return nil, 0, false, false
	}
	if rest, found := bytes.CutPrefix(b, []byte(`,"domain":"`)); found {
		if _, b, ok = cutPlain(rest); !ok {
			return nil, 0, false, false
		}
	}
	if b, ok = bytes.CutPrefix(b, []byte(`,"seq":`)); !ok {
		return nil, 0, false, false
	}
	digits := 0
	for digits < len(b) && '0' <= b[digits] && b[digits] <= '9' {
		seq = 10*seq + uint64(b[digits]-'0')
		digits++
	}
	// JSON has no leading zeros, and 20 digits may be too many for a number.
	if digits == 0 || digits > 19 || b[0] == '0' {
		return nil, 0, false, false
	}
	switch string(b[digits:]) {
	case `}`:
		return stream, seq, false, true
	case `,"duplicate": true}`, `,"duplicate":true}`:
		return stream, seq, true, true
	}
	return nil, 0, false, false
}

// cutPlain cuts a string's text, without escapes, and its end.
func cutPlain(b []byte) (text, rest []byte, ok bool) {
	for i, c := range b {
		switch {
		case c == '"':
			return b[:i], b[i+1:], true
		case c < ' ' || c == '\\' || c >= 0x7f:
			return nil, nil, false
		}
	}
	return nil, nil, false
}
