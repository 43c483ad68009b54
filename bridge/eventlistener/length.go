package eventlistener

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Length is how a supervisord counts the len of its headers.
type Length int

const (
	// LengthAuto finds out at the first payload that shows it.
	LengthAuto Length = iota
	// LengthChars counts characters: Python's supervisord takes len() of a str
	// and encodes it afterwards (process.py, _eventEnvelope).
	LengthChars
	// LengthBytes counts bytes: the Go port (ochinchina/supervisord).
	LengthBytes
)

var lengthNames = map[Length]string{LengthAuto: "auto", LengthChars: "chars", LengthBytes: "bytes"}

func (n Length) String() string { return lengthNames[n] }

// UnmarshalText reads auto, chars or bytes.
func (n *Length) UnmarshalText(b []byte) error {
	for l, name := range lengthNames {
		if name == string(b) {
			*n = l
			return nil
		}
	}
	return fmt.Errorf("invalid value %q: want auto, chars or bytes", b)
}

// grace is how long a payload that may have ended is given to continue. Nothing
// follows a payload before it is answered, so characters come within
// milliseconds and bytes never; it is waited once in the life of a listener.
const grace = 100 * time.Millisecond

// counter remembers how supervisord counts.
type counter struct {
	mode Length
	// guessed means that bytes was concluded from a silence. If that was wrong, the last
	// payload has owed characters in all; 0 if it was not.
	guessed bool
	owed    int
	// The last payload begins with so many complete characters, of so many bytes.
	chars, bytes int
}

// count returns how many complete characters p begins with; p begins with what
// was counted before. One that is cut at the end is left out.
func (c *counter) count(p []byte) int {
	rest := p[c.bytes:]
	rest = rest[:len(rest)-cutRune(rest)]

	for i := 0; i < len(rest); c.chars++ { // utf8.RuneCount copies what is not ASCII
		w := 1
		if rest[i] >= utf8.RuneSelf {
			_, w = utf8.DecodeRune(rest[i:])
		}
		i += w
	}

	c.bytes += len(rest)
	return c.chars
}

// cutRune returns how many bytes of a character that is cut p ends with.
func cutRune(p []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if tail := p[len(p)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return i
			}
			break
		}
	}
	return 0
}

// readPayload reads a payload of length n. The result is valid until the next
// call. Work and memory are linear in its size.
func (l *Listener) readPayload(n int) ([]byte, error) {
	if cap(l.payload) > keepPayload {
		l.payload = nil
	}
	c := &l.length
	*c = counter{mode: c.mode, guessed: c.guessed}

	p, err := l.readMore(l.payload[:0], n)
	if err == nil && (c.mode != LengthBytes || c.guessed) && c.count(p) < n {
		if c.mode == LengthAuto {
			err = l.findMode()
		}
		switch {
		case err != nil:
		case c.mode == LengthChars:
			p, err = l.readChars(p, n)
		case c.guessed:
			c.owed = n
		}
	}

	l.payload = p
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

// findMode finds out how supervisord counts, after a payload that has ended if it was
// counted in bytes.
func (l *Listener) findMode() error {
	more, err := l.moreWithin(grace)
	switch {
	case err != nil:
		return err
	case more:
		l.length.mode = LengthChars
	default:
		l.length.mode, l.length.guessed = LengthBytes, true
	}
	return nil
}

// readChars appends to p until it has n characters. What is missing is at least
// that many bytes, and at most four times as many: each round leaves at most
// three quarters of it.
func (l *Listener) readChars(p []byte, n int) ([]byte, error) {
	for {
		missing := n - l.length.count(p)
		if missing <= 0 {
			return p, nil
		}

		var err error
		if p, err = l.readMore(p, missing); err != nil {
			return p, err
		}
	}
}

// readMore appends n bytes to p, which is doubled as they come: len is not
// trusted with an allocation.
func (l *Listener) readMore(p []byte, n int) ([]byte, error) {
	const step = 1 << 20
	for n > 0 {
		k := min(n, max(step, len(p)))
		at := len(p)
		p = append(p, make([]byte, k)...)
		got, err := io.ReadFull(l.in, p[at:])
		p = p[:at+got]
		if err != nil {
			return p, err
		}
		n -= k
	}
	return p, nil
}

// dropLeftover is called after a payload that was taken to be counted in bytes because
// nothing followed it for a while. If that was wrong, its rest comes before the next header.
func (l *Listener) dropLeftover() error {
	// The end of the stream is found again when the header is read.
	if next, err := l.in.Peek(len(headerStart)); err != nil || string(next) == headerStart {
		return nil
	}

	c := &l.length
	c.mode, c.guessed = LengthChars, false
	had := len(l.payload)
	p, err := l.readChars(l.payload, c.owed)
	l.payload = p
	if err != nil {
		return fmt.Errorf("read the rest of an event that was taken to be complete: %w", err)
	}

	l.cfg.Warn(fmt.Sprintf("supervisord counts characters, not bytes, but was silent for over %v "+
		"in the middle of an event: its last %d bytes were lost", grace, len(p)-had))
	return nil
}
