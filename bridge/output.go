package bridge

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"supernats/bridge/supervisord"
)

// The output of programs has a section of its own, see WriteConf. On most hosts no
// program's output is published, and a bridge for it would have nothing to do, so
// supervisord does not start it (autostart=false). The bridge of the other section
// does, when it starts and when an update adds a program whose output is published.
// Nothing is lost: supervisord fills the buffer of a section that does not run too.

const (
	// outputSoon is how long the groups of an update have to follow each other to be
	// looked at together.
	outputSoon = 200 * time.Millisecond
	// outputAgain is when it is tried again to start the section.
	outputAgain = 10 * time.Second
)

// hasOutput reports whether any section of a configuration publishes the output of a
// program; true if that is not certain.
func hasOutput(c *supervisord.Configuration) bool {
	for _, s := range c.Sections {
		for _, option := range []string{"stdout_events_enabled", "stderr_events_enabled"} {
			v, err := s.Value(option, "false")
			if err != nil || !isFalse(v) {
				return true
			}
		}
		for _, option := range []string{"stdout_capture_maxbytes", "stderr_capture_maxbytes"} {
			v, err := s.Value(option, "0")
			if err != nil || strings.Trim(v, "0") != "" {
				return true
			}
		}
	}
	return false
}

// isFalse reports whether supervisord takes a value for false (datatypes.py boolean).
func isFalse(v string) bool {
	switch strings.ToLower(v) {
	case "n", "no", "false", "off", "0":
		return true
	}
	return false
}

// outputSections returns the groups and processes of the sections for output that
// supervisord does not start by itself.
func outputSections(c *supervisord.Configuration) (sections [][2]string) {
	for _, s := range c.Sections {
		name, ok := strings.CutPrefix(s.Name, "eventlistener:")
		events, err := s.Value("events", "")
		if !ok || err != nil || !onlyOutput(strings.FieldsFunc(events, func(r rune) bool { return r == ',' || r == ' ' })) {
			continue
		}
		words := strings.Fields(s.Options["command"])
		if v, err := s.Value("autostart", "true"); err != nil || !isFalse(v) || len(words) == 0 ||
			!strings.HasPrefix(filepath.Base(words[0]), "supernats-bridge") {
			continue
		}
		process := s.Options["process_name"]
		if process == "" || strings.Contains(process, "%") {
			process = name
		}
		sections = append(sections, [2]string{name, process})
	}
	return sections
}

// startOutput starts the section for output when it is needed, at our start and each
// time that a group was added, until ctx ends.
func (b *Bridge) startOutput(ctx context.Context) {
	b.noteGroup()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.groups:
		}
		if !sleep(ctx, outputSoon) {
			return
		}
		for err := b.startNeeded(ctx); err != nil; err = b.startNeeded(ctx) {
			b.troubles.Raise(troubleOutput, "programs have their output published, and the section for it does not run: "+err.Error(),
				"set autostart=true in that section of supervisord's configuration, then run: supervisorctl update")
			if !sleep(ctx, outputAgain) {
				return
			}
		}
		b.troubles.Clear(troubleOutput)
	}
}

// startNeeded starts the sections for output if there is some.
func (b *Bridge) startNeeded(ctx context.Context) error {
	path, err := supervisord.FindConfiguration(b.SupervisorPID())
	if err != nil {
		return nil
	}
	conf, err := supervisord.ReadConfiguration(path)
	if err != nil || !hasOutput(conf) {
		return nil
	}
	for _, s := range outputSections(conf) {
		if s[0] == b.pool() {
			continue // ourselves
		}
		if b.server == nil {
			return fmt.Errorf("start %s: supervisord has no XML-RPC for us", s[0])
		}
		if err := b.server.StartStopped(ctx, s[0], s[1]); err != nil {
			return fmt.Errorf("start %s: %w", s[0], err)
		}
	}
	return nil
}

// noteGroup wakes startOutput.
func (b *Bridge) noteGroup() {
	select {
	case b.groups <- struct{}{}:
	default:
	}
}
