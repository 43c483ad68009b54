package terminal

import (
	"io"
	"os"
	"sync"
	"time"
)

// StatusLine is a line on stderr that says how something stands that takes long. On a
// terminal it is the last one, and is drawn over until Close removes it; what Say and
// AboveStatusLine write stands above it. Elsewhere, in a log or a pipe, the same text is a
// line of its own every now and then.
type StatusLine struct {
	// text returns what to say, in a line that is not wider, "" while there is nothing to
	// say. Width 0 is no limit.
	text    func(width int) string
	stopped chan struct{}
	ended   chan struct{}
	closing sync.Once
}

const (
	// statusAfter is for how long nothing is drawn: what is over by then needs no line.
	statusAfter = 500 * time.Millisecond
	// statusEvery is how often a terminal is drawn, statusLinesEvery how often lines are
	// written elsewhere.
	statusEvery      = 100 * time.Millisecond
	statusLinesEvery = 10 * time.Second
)

// stderr is what stands on the last line of the terminal. Its mutex guards writing too.
var stderr struct {
	sync.Mutex
	hasStatus bool
}

// clearLine has a terminal forget the line that the cursor is in.
const clearLine = "\r\x1b[K"

// NewStatusLine begins to show a text, which is asked for by another goroutine. Where stdout
// is on the same screen and lines appear there, say so with printing: they show well enough
// that it continues. The caller closes it.
func NewStatusLine(printing bool, text func(width int) string) *StatusLine {
	s := &StatusLine{text: text, stopped: make(chan struct{}), ended: make(chan struct{})}
	switch {
	case Is(os.Stderr) && printing && Is(os.Stdout):
		close(s.ended)
	case CanDraw(os.Stderr):
		go s.run(statusAfter, statusEvery, s.draw)
	default:
		go s.run(statusLinesEvery, statusLinesEvery, s.writeLine)
	}
	return s
}

// run shows the text until Close.
func (s *StatusLine) run(after, every time.Duration, show func()) {
	defer close(s.ended)
	for wait := after; ; wait = every {
		select {
		case <-s.stopped:
			return
		case <-time.After(wait):
			show()
		}
	}
}

func (s *StatusLine) draw() {
	text := Clean(s.text(max(1, Width(os.Stderr)-1))) // in the last column, some terminals break the line
	stderr.Lock()
	defer stderr.Unlock()
	stderr.hasStatus = text != ""
	_, _ = os.Stderr.WriteString(clearLine + text)
}

func (s *StatusLine) writeLine() {
	if text := s.text(0); text != "" {
		Say("supernats: %s", text)
	}
}

// Close removes the line.
func (s *StatusLine) Close() {
	s.closing.Do(func() {
		close(s.stopped)
		<-s.ended
		stderr.Lock()
		defer stderr.Unlock()
		removeStatus()
	})
}

// removeStatus removes the line of a terminal. The caller holds stderr.
func removeStatus() {
	if stderr.hasStatus {
		_, _ = os.Stderr.WriteString(clearLine)
		stderr.hasStatus = false
	}
}

// AboveStatusLine writes to stderr whole lines, which stand above a status line.
var AboveStatusLine io.Writer = above{}

type above struct{}

// Write implements io.Writer.
func (above) Write(lines []byte) (int, error) {
	stderr.Lock()
	defer stderr.Unlock()
	removeStatus()
	return os.Stderr.Write(lines)
}
