package supervisord

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Log reads supervisord's own log as it grows, over supervisor.readLog, for callers who
// cannot read it as a file. It is not for use by several goroutines.
//
// supervisord does not say how long the log is, nor that it was rotated: so each read
// begins with the last line of the one before, at the offset where it stood. If something
// else is there, the log is another one, and what was written between the two reads is
// lost.
type Log struct {
	client *Client
	placed bool
	off    int64  // of mark; of the next line if there is no mark
	mark   string // the last line that was read, with its newline
	short  bool   // a longer tail took too long: only the shortest is read
}

const (
	// chunk limits what one call of readLog answers: supervisord reads, decodes
	// and escapes it before it does anything else.
	chunk = 1 << 20
	// maxChunks limits what is read at a time: 50,000 lines.
	maxChunks = 4
	// near is how exactly the end of the log is looked for.
	near = 4 << 10
)

// logError is an error that no repetition ends.
type logError string

func (e logError) Error() string { return string(e) }

// Unreadable reports that supervisord answers, but has no log that it can hand out.
func (logError) Unreadable() bool { return true }

const (
	errNoLog       logError = "supervisord's log is off or cannot be read"
	errUndecodable logError = "supervisord's log holds bytes that are no UTF-8"
)

// tails are how far before the end the first read begins, in bytes: further if that is
// not far enough for the caller. A MiB costs supervisord some 100 ms in which it does
// nothing else.
var tails = []int64{256 << 10, 1 << 20}

// OwnLog returns a reader of supervisord's own log.
func (c *Client) OwnLog() *Log { return &Log{client: c} }

// Placed reports whether the next Read continues where the last one ended.
func (l *Log) Placed() bool { return l.placed }

// Read reads what is new; done means that it has come to the end of the log. farEnough
// reports whether the first read may begin with some lines. sink is called with whole
// lines, or none; gap means that there may be lines before them that will never come.
// An error with a method Unreadable means that there is no log to be read.
func (l *Log) Read(
	ctx context.Context, farEnough func(lines string) bool, sink func(lines string, gap bool),
) (done bool, err error) {
	for range maxChunks {
		if !l.placed {
			err = l.place(ctx, farEnough, sink)
			return err == nil, err
		}
		if done, err = l.next(ctx, sink); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// next reads a chunk. The log is no longer placed if it is another one, or could
// not be decoded.
func (l *Log) next(ctx context.Context, sink func(string, bool)) (done bool, err error) {
	p, full, err := l.readAt(ctx, l.off, int64(len(l.mark)+chunk))
	if errors.Is(err, errUndecodable) {
		l.placed = false
		return false, nil
	}
	if err != nil {
		return false, err
	}

	lines, same := strings.CutPrefix(p.text, l.mark)
	if !same {
		l.placed = false // rotated, cleared or cut
		return false, nil
	}

	end := strings.LastIndexByte(lines, '\n') + 1
	if end > 0 {
		l.advance(p, len(l.mark)+end)
		sink(lines[:end], false)
	} else if full {
		l.placed = false // a line longer than a chunk
	}
	return !full, nil
}

// place reads the end of the log.
func (l *Log) place(ctx context.Context, farEnough func(string) bool, sink func(string, bool)) error {
	l.placed, l.mark, l.off = false, "", 0
	end, err := l.findEnd(ctx)
	if err != nil {
		return err
	}

	undecodable := false
	for i := range tails {
		start := max(end-tails[i], 0)
		if undecodable {
			start = end // past it, if it is not at the very end
		}
		s, err := l.readEnd(ctx, start)
		if errors.Is(err, errUndecodable) && !undecodable {
			undecodable = true
			continue
		}
		if err != nil {
			l.short = i > 0
			return err
		}

		cut := 0
		if start > 0 {
			cut = strings.IndexByte(s.text, '\n') + 1
		}
		end := strings.LastIndexByte(s.text, '\n') + 1
		lines := s.text[min(cut, end):end]
		if start > 0 && !undecodable && !l.short && i < len(tails)-1 && !farEnough(lines) {
			continue
		}

		l.placed, l.off = true, s.off
		l.advance(s, end)
		sink(lines, true)
		return nil
	}
	return errUndecodable
}

// A piece of the log.
type piece struct {
	text  string
	off   int64
	added int // by cleaning, see clean
}

// raw is the number of bytes in the log of what stands in s.text[from:to].
func (p piece) raw(from, to int) (int64, bool) {
	if p.added == 0 {
		return int64(to - from), true
	}
	// Every U+FFFD is one of ours and stands for one byte; otherwise it is not exact.
	const each = len(replacement) - 1
	exact := strings.Count(p.text, replacement)*each == p.added
	return int64(to - from - strings.Count(p.text[from:to], replacement)*each), exact
}

// advance moves the mark to the last line of p.text[:end].
func (l *Log) advance(p piece, end int) {
	if end == 0 {
		return
	}
	start := strings.LastIndexByte(p.text[:end-1], '\n') + 1
	n, exact := p.raw(0, start)
	l.off, l.mark, l.placed = p.off+n, strings.Clone(p.text[start:end]), exact
}

// readAt reads n bytes from an offset where a line begins; full means that there
// may be more.
func (l *Log) readAt(ctx context.Context, off, n int64) (p piece, full bool, err error) {
	for extra := range int64(4) {
		p, err = l.readLog(ctx, off, n+extra)
		if !errors.Is(err, errUndecodable) {
			break
		}
		// The end may have cut a character in two.
	}
	return p, int64(len(p.text)-p.added) >= n, err
}

// readEnd reads all from an offset, or up to three bytes further on if that is
// inside a character.
func (l *Log) readEnd(ctx context.Context, off int64) (p piece, err error) {
	for range 4 {
		if p, err = l.readLog(ctx, off, 0); !errors.Is(err, errUndecodable) || off == 0 {
			break
		}
		off++
	}
	return p, err
}

func (l *Log) readLog(ctx context.Context, off, n int64) (piece, error) {
	// As a multicall, for a fault says more than HTTP 500.
	answers, added, err := l.client.askCounting(ctx, question{"supervisor.readLog", []any{off, n}})
	if err != nil {
		return piece{}, err
	}
	if err := logFault(answers[0].err); err != nil {
		return piece{}, err
	}
	return piece{text(answers[0].value), off, added}, nil
}

func logFault(err error) error {
	var fault *Fault
	switch {
	case !errors.As(err, &fault):
		return err
	case undecodable(fault):
		return errUndecodable
	case fault.Code == FaultShutdownState:
		return fault
	}
	return fmt.Errorf("%w: %w", errNoLog, fault)
}

// undecodable reports whether a log could not be read because of its bytes.
// rpcinterface.py readLog takes the UnicodeDecodeError, which is a ValueError,
// for one of its own and looks for a fault of the name "utf-8"; multicall makes
// a text of that error.
func undecodable(fault *Fault) bool {
	return fault.Code == FaultFailed && (strings.Contains(fault.String, "no attribute 'utf") ||
		strings.Contains(fault.String, "UnicodeDecodeError"))
}

// findEnd returns the offset of a byte of the log that is less than near from its
// end.
func (l *Log) findEnd(ctx context.Context) (int64, error) {
	const longest = 50 // log2

	// First powers of two, then 64 steps within what is left, again and again.
	var probes []int64
	for p := int64(near); p <= 1<<longest; p *= 2 {
		probes = append(probes, p)
	}
	low, high := int64(0), int64(1<<longest)
	for {
		there, err := l.probe(ctx, probes)
		if err != nil {
			return 0, err
		}

		if there > 0 {
			low = probes[there-1]
		}
		if there < len(probes) {
			high = probes[there]
		}
		if high-low <= near {
			return low, nil
		}

		probes = probes[:0]
		step := max((high-low)/64, near)
		for p := low + step; p < high; p += step {
			probes = append(probes, p)
		}
		if len(probes) == 0 {
			return low, nil
		}
	}
}

// probe returns how many of the ascending offsets are inside the log.
func (l *Log) probe(ctx context.Context, offsets []int64) (int, error) {
	questions := make([]question, len(offsets))
	for i, off := range offsets {
		questions[i] = question{"supervisor.readLog", []any{off, int64(1)}}
	}
	answers, err := l.client.ask(ctx, questions...)
	if err != nil {
		return 0, err
	}

	for i, a := range answers {
		err := logFault(a.err)
		if err != nil && !errors.Is(err, errUndecodable) { // one byte of several
			return 0, err
		}
		if err == nil && text(a.value) == "" {
			return i, nil
		}
	}
	return len(answers), nil
}

// End returns the last n bytes of the log; ok is false where it does not
// answer, or the bytes had to be changed to make XML of them.
func (l *Log) End(ctx context.Context, n int) (end string, ok bool) {
	answers, added, err := l.client.askCounting(ctx, question{"supervisor.readLog", []any{int64(-n), int64(0)}})
	if err != nil || answers[0].err != nil || added != 0 {
		return "", false
	}
	return text(answers[0].value), true
}
