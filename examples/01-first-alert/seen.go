package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"supernats/schema"
	"supernats/schema/codec"
)

// What has to be seen: an event of each of the two programs, and a mail about it.
const (
	crashEvent = "the event PROCESS_STATE_EXITED with expected=false of crasher"
	fatalEvent = "the event PROCESS_STATE_FATAL of flapper"
	crashMail  = "the mail about crasher"
	fatalMail  = "the mail about flapper"
)

// seen keeps a list of what is still to be seen.
type seen struct {
	mu   sync.Mutex
	open []string
	done chan struct{} // closed when open is empty
}

func newSeen() *seen {
	return &seen{open: []string{crashEvent, fatalEvent, crashMail, fatalMail}, done: make(chan struct{})}
}

func (s *seen) check(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.open, what)
	if i < 0 {
		return
	}

	s.open = slices.Delete(s.open, i, i+1)
	if len(s.open) == 0 {
		close(s.done)
	}
}

func (s *seen) event(e *schema.Event) {
	switch {
	case e.Process == "crasher" && e.UnexpectedExit():
		s.check(crashEvent)
	case e.Process == "flapper" && e.Event == schema.ProcessStateFatal:
		s.check(fatalEvent)
	}
}

func (s *seen) mail(subject string) {
	switch {
	case strings.Contains(subject, "crasher exited unexpectedly"):
		s.check(crashMail)
	case strings.Contains(subject, "flapper") && strings.Contains(subject, "FATAL"):
		s.check(fatalMail)
	}
}

// wait returns when everything was seen or ctx has ended, with what was not seen.
func (s *seen) wait(ctx context.Context) []string {
	select {
	case <-s.done:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.open)
}

// followEvents shows the lines of `supernats tail -o jsonl`.
func followEvents(r io.Reader, seen *seen, screen *screen) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil // the end of tail
		}
		ce, err := codec.UnmarshalEvent(line)
		if err != nil {
			return err
		}
		screen.event(ce)
		seen.event(ce.Data)
	}
}

// states returns the records that `supernats ps` prints, by process.
func (s *stage) states() (map[string]schema.ProcessRecord, error) {
	out, err := s.command("supernats", "ps", "-c", s.config(), "-o", "jsonl").Output()
	if err != nil {
		return nil, fmt.Errorf("supernats ps: %w", err)
	}
	states := map[string]schema.ProcessRecord{}
	for line := range bytes.Lines(out) {
		var r schema.ProcessRecord
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("supernats ps printed %q: %w", line, err)
		}
		states[r.Process] = r
	}
	return states, nil
}

// missingStates returns which records are not as they should be.
func (s *stage) missingStates() (missing []string) {
	states, err := s.states()
	if err != nil {
		return []string{"the records of state: " + err.Error()}
	}
	if states["crasher"].UnexpectedExits == 0 {
		missing = append(missing, "a record of state of crasher with an unexpected exit")
	}
	if states["flapper"].State != schema.StateFatal {
		missing = append(missing, "a record of state of flapper that says FATAL")
	}
	if states["steady"].State != schema.StateRunning {
		missing = append(missing, "a record of state of steady that says RUNNING")
	}
	return missing
}
