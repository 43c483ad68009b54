// Package eventlistener speaks supervisord's event listener protocol over an
// io.Reader and an io.Writer: READY, an event, RESULT, READY.
//
// It never answers FAIL: supervisord would offer the event again to every pool whose
// priority equals ours (Subprocess.__eq__ compares priorities only). It answers OK when the
// event has been accepted, and not before.
//
// Under pressure it blocks: as long as Accept does, supervisord buffers (buffer_size events,
// then it drops the oldest). Memory is bounded by the largest payload, at most MaxPayload.
package eventlistener

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// MaxPayload is the largest payload in the units of the header's len.
	MaxPayload = 64 << 20
	// maxHeader bounds a header line: an identifier has no limit of its own.
	maxHeader = 64 << 10
	// keepPayload is the largest payload buffer kept from one event to the next.
	keepPayload = 1 << 20
)

// The listener's two sentences. OK and the next READY go out in one write:
// supervisord takes them apart (dispatchers.py, PEventListenerDispatcher), and a
// second write would cost a second wake-up on its side.
var (
	ready   = []byte("READY\n")
	okReady = []byte("RESULT 2\nOKREADY\n")
)

// ErrClosed is returned when supervisord has closed the listener's standard
// input between two events: it is stopping, or it is dead.
var ErrClosed = errors.New("supervisord closed the event stream")

// Config is what a Listener needs; In, Out and Accept must be set.
type Config struct {
	// In is where supervisord writes. If it has a SetReadDeadline method, as
	// os.File and net.Conn have, Run ends with its context even while nothing
	// comes, and LengthAuto can tell characters from bytes.
	In io.Reader
	// Out is where supervisord reads.
	Out io.Writer
	// Length is how supervisord counts a payload.
	Length Length
	// Accept takes an event into safe hands. header is the line without its
	// newline; both slices are valid until Accept returns and must not be
	// changed. It may block. An error ends Run, and the event is not answered:
	// supervisord will offer it again.
	Accept func(ctx context.Context, header, payload []byte) error
	// Answered, if not nil, is called after each answer with how long supervisord has waited
	// for it since the event's header was read. The next event waits for it.
	Answered func(took time.Duration)
	// Warn, if not nil, is called with what was recovered from.
	Warn func(msg string)
}

// Listener is one conversation with one supervisord.
type Listener struct {
	cfg  Config
	made time.Time // what times are measured from

	// Run owns these.
	in      *bufio.Reader
	length  counter
	header  []byte // of the current event
	payload []byte // of the last event; its memory is used again

	// waker is In if its reads can be bounded in time, else nil. mu guards its deadline;
	// once stopped is set, the deadline is in the past for good.
	waker   deadliner
	mu      sync.Mutex
	stopped bool
}

// deadliner is an In whose reads can be bounded in time.
type deadliner interface{ SetReadDeadline(time.Time) error }

// New prepares a conversation. Nothing is read or written before Run.
func New(cfg Config) (*Listener, error) {
	if cfg.In == nil || cfg.Out == nil || cfg.Accept == nil {
		return nil, errors.New("eventlistener: In, Out and Accept must be set")
	}
	if cfg.Warn == nil {
		cfg.Warn = func(string) {}
	}

	l := &Listener{cfg: cfg, made: time.Now(), in: bufio.NewReaderSize(cfg.In, maxHeader)}
	l.length.mode = cfg.Length
	if d, ok := cfg.In.(deadliner); ok && d.SetReadDeadline(time.Time{}) == nil {
		l.waker = d
	}
	return l, nil
}

// Run talks until supervisord closes the stream (ErrClosed), ctx ends (its
// error), a header is malformed (*HeaderError), or Accept fails. No event is
// accepted after Run has returned.
func (l *Listener) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.stop)
	defer stop()
	if _, err := l.cfg.Out.Write(ready); err != nil {
		return fmt.Errorf("send READY to supervisord: %w", err)
	}

	for {
		if err := l.handleEvent(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
}

// handleEvent reads, accepts and answers one event.
func (l *Listener) handleEvent(ctx context.Context) error {
	if l.length.owed > 0 {
		if err := l.dropLeftover(); err != nil {
			return err
		}
	}
	line, err := l.readLine()
	if err != nil {
		return err
	}
	var begun time.Duration
	if l.cfg.Answered != nil {
		begun = time.Since(l.made) // half of what time.Now costs
	}

	l.header = append(l.header[:0], line...) // reading on overwrites line
	h, err := parse(l.header)
	if err != nil {
		return err
	}
	payload, err := l.readPayload(h.len)
	if err != nil {
		return fmt.Errorf("read the payload of %s with serial %d: %w", h.event, h.serial, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}

	if err := l.cfg.Accept(ctx, l.header, payload); err != nil {
		return fmt.Errorf("accept %s with serial %d: %w", h.event, h.serial, err)
	}
	if _, err := l.cfg.Out.Write(okReady); err != nil {
		return fmt.Errorf("answer %s with serial %d: %w", h.event, h.serial, err)
	}
	if l.cfg.Answered != nil {
		l.cfg.Answered(time.Since(l.made) - begun)
	}
	return nil
}

// readLine reads a header line without its newline. It is valid until the next read.
func (l *Listener) readLine() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, malformed(line, "longer than %d bytes", maxHeader)
	case errors.Is(err, io.EOF) && len(line) == 0:
		return nil, ErrClosed
	case errors.Is(err, io.EOF):
		return nil, malformed(line, "supervisord closed the stream in its middle")
	}
	return nil, fmt.Errorf("read event header: %w", err)
}

// stop makes a blocked or later read return.
func (l *Listener) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	if l.waker != nil {
		_ = l.waker.SetReadDeadline(time.Unix(1, 0))
	}
}

// moreWithin reports whether supervisord sends another byte within d. Without a
// deadline to set, it waits for as long as a read does.
func (l *Listener) moreWithin(d time.Duration) (bool, error) {
	if l.in.Buffered() > 0 {
		return true, nil
	}

	l.setDeadline(time.Now().Add(d))
	_, err := l.in.Peek(1)
	l.setDeadline(time.Time{})

	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded) && !l.isStopped():
		return false, nil
	case errors.Is(err, io.EOF):
		return false, nil
	}
	return false, err
}

func (l *Listener) isStopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped
}

// setDeadline never undoes the deadline that stop has set.
func (l *Listener) setDeadline(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waker != nil && !l.stopped {
		_ = l.waker.SetReadDeadline(t)
	}
}
