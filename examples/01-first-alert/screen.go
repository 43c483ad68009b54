package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
)

// screen writes blocks of text that do not run into each other.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	color bool
}

func newScreen(f *os.File) *screen {
	return &screen{w: f, color: term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""}
}

func (s *screen) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.w, text)
}

// section writes a title and an indented text.
func (s *screen) section(title, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, "\n%s\n", s.bold(title))
	for line := range strings.Lines(text) {
		fmt.Fprint(s.w, "    ", line)
	}
	fmt.Fprintln(s.w)
}

func (s *screen) event(ce *schema.CloudEvent[*schema.Event]) {
	if schema.Is(ce.Data.Event, "TICK") {
		return // one every five seconds, with nothing to see
	}
	name := fmt.Sprintf("%-32s", ce.Data.Event)
	if ce.Data.UnexpectedExit() || ce.Data.Event == schema.ProcessStateFatal {
		name = s.paint("31", name)
	}
	text := fmt.Sprintf("  %s  %s %s", ce.Time.Local().Format(time.TimeOnly), name, ce.Subject)
	if ce.Data.UnexpectedExit() {
		text += "  expected=false"
	}
	s.line(text)
}

func (s *screen) mail(m smtptest.Mail) {
	var b strings.Builder
	fmt.Fprintf(&b, "From:    %s\nTo:      %s\nSubject: %s\n\n%s",
		m.Decoded("From"), m.Decoded("To"), s.bold(m.Subject()), m.Text)

	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, "\n  ┌─ %s\n", s.bold("mail received"))
	for line := range strings.Lines(b.String()) {
		fmt.Fprint(s.w, "  │ ", line)
	}
	fmt.Fprintln(s.w, "  └─")
}

func (s *screen) bold(text string) string { return s.paint("1", text) }

func (s *screen) paint(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
