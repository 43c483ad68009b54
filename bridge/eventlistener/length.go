package eventlistener

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Length is how a supervisord counts the len of its headers.
type Length int

const (
	// LengthAuto finds out at the first payload that tells.
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
	return fmt.Errorf("%q is no way to count; allowed are auto, chars, bytes", b)
}

// grace is how long a payload that may have ended is given to go on. Nothing
// follows a payload before it is answered, so characters come within
// milliseconds and bytes never; it is waited once in the life of a listener.
const grace = 100 * time.Millisecond

// counter remembers how supervisord counts.
type counter struct {
	mode Length
	// guessed says that bytes was concluded from a silence; owed is then how many
	// characters the last payload would have lacked if that was wrong.
	guessed bool
	owed    int
}

// readPayload reads a payload of length n. The result is valid until the next
// call. Work and memory are linear in its size.
func (l *Listener) readPayload(n int) ([]byte, error) {
	if cap(l.payload) > keepPayload {
		l.payload = nil
	}
	p, err := l.readMore(l.payload[:0], n)
	l.length.owed = 0
	for err == nil {
		// What is missing is at least that many bytes, and at most four times as
		// many: each round leaves at most three quarters.
		missing := n - completeRunes(p)
		if missing <= 0 || l.length.mode == LengthBytes {
			if l.length.guessed {
				l.length.owed = max(0, missing)
			}
			break
		}
		if l.length.mode == LengthAuto {
			var more bool
			if more, err = l.moreWithin(grace); err != nil {
				break
			}
			l.length.mode = LengthChars
			if !more {
				l.length.mode, l.length.guessed = LengthBytes, true
				continue
			}
		}
		p, err = l.readMore(p, missing)
	}
	l.payload = p
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

// readMore appends n bytes to p, growing it as they come: len is not trusted
// with an allocation.
func (l *Listener) readMore(p []byte, n int) ([]byte, error) {
	const step = 1 << 20
	for n > 0 {
		k := min(n, step)
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

// completeRunes counts characters, leaving out one that is cut at the end.
func completeRunes(p []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if tail := p[len(p)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				p = p[:len(p)-i]
			}
			break
		}
	}
	return utf8.RuneCount(p)
}

// dropLeftover is called with the line read behind a payload that was taken to
// be counted in bytes because nothing followed it for a while. If that was
// wrong, the line begins with the rest of that payload.
func (l *Listener) dropLeftover(line []byte) ([]byte, error) {
	if bytes.HasPrefix(line, []byte("ver:")) {
		l.length.owed = 0
		return line, nil
	}
	all := bytes.Clone(line)
	for {
		end := prefixOfRunes(all, l.length.owed)
		if end >= 0 && bytes.HasSuffix(all, []byte("\n")) && end < len(all) {
			l.length = counter{mode: LengthChars}
			l.cfg.Warn(fmt.Sprintf("supervisord counts characters, not bytes, but was silent for over %v in the middle of an event: its last %d bytes were lost", grace, end))
			return all[end:], nil
		}
		more, err := l.in.ReadSlice('\n')
		if all = append(all, more...); err != nil || len(all) > MaxPayload {
			return nil, malformed(all, "not at the beginning of an event")
		}
	}
}

// prefixOfRunes returns how many bytes the first n characters of p take, -1 if
// p has fewer. A character cut before p began counts as part of the first.
func prefixOfRunes(p []byte, n int) int {
	i := 0
	for i < len(p) && !utf8.RuneStart(p[i]) {
		i++
	}
	if i > 0 {
		n--
	}
	for ; n > 0; n-- {
		if i >= len(p) {
			return -1
		}
		_, w := utf8.DecodeRune(p[i:])
		i += w
	}
	return i
}
