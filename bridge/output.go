package bridge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"supernats/bridge/supervisord"
)

// The output of programs has a section of its own, see WriteConf. On most hosts no
// program's output is published, and a bridge for it would have nothing to do: with
// --while-output it ends at its start then, with exit code 0, which its section
// (autorestart=unexpected) leaves at that. supervisord goes on filling the buffer of
// a section whose listener has ended, with a TICK_3600 each hour.
//
// The bridge of the other section starts it again when a program is added whose
// output is published. Nothing is lost: supervisord has buffered it.

const (
	// outputWait is how long the configuration is waited for at a start.
	outputWait = 2 * time.Second
	// outputSoon is how long the groups of an update have to follow each other to be
	// looked at together.
	outputSoon = 200 * time.Millisecond
	// outputAgain is when it is tried again to start the other section.
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

// needless reports whether a bridge for output has nothing to do.
func (b *Bridge) needless() bool {
	if !b.cfg.WhileOutput {
		return false
	}
	select {
	case <-b.section.done:
	case <-time.After(outputWait):
		return false
	}
	return b.section.conf != nil && !hasOutput(b.section.conf)
}

// startOutput starts the sections for output when they are needed, each time that a
// group was added, until ctx ends.
func (b *Bridge) startOutput(ctx context.Context) {
	if b.server == nil || b.cfg.WhileOutput {
		return
	}
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
			b.troubles.raise(troubleOutput, "the section for the output of programs is needed and cannot be started: "+err.Error(),
				"supervisorctl start the section whose command has --while-output, and look into its log")
			if !sleep(ctx, outputAgain) {
				return
			}
		}
		b.troubles.clear(troubleOutput)
	}
}

// startNeeded starts what has ended because there was no output, if there is some by
// now. One that an operator has stopped stays so.
func (b *Bridge) startNeeded(ctx context.Context) error {
	path, err := supervisord.FindConfiguration(b.SupervisorPID())
	if err != nil {
		return nil // then those for output cannot have ended for want of it
	}
	conf, err := supervisord.ReadConfiguration(path)
	if err != nil || !hasOutput(conf) {
		return nil
	}
	for _, s := range conf.Sections {
		name, ok := strings.CutPrefix(s.Name, "eventlistener:")
		if !ok || !strings.Contains(s.Options["command"], "--while-output") {
			continue
		}
		process, err := s.Value("process_name", name)
		if err != nil {
			process = name
		}
		if err := b.server.StartExited(ctx, name, process); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
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
