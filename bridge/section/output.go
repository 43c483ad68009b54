package section

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"supernats/bridge/supervisordconf"
	"supernats/schema/repeat"
)

// The output of programs has a section of its own, see Write. On most hosts no
// program's output is published, and a bridge for it would have nothing to do, so
// supervisord does not start it (autostart=false). The bridge of the other section
// does, when it starts and when an update adds a program whose output is published.
// Nothing is lost: supervisord fills the buffer of a section that does not run too.

const (
	// outputSoon is how long the groups of an update have to follow each other to be
	// looked at together.
	outputSoon = 200 * time.Millisecond
	// retryStart is when it is tried again to start the section.
	retryStart = 10 * time.Second
)

// HasOutput reports whether any section of a configuration publishes the output of a
// program; true if that is not certain.
func HasOutput(c *supervisordconf.Configuration) bool {
	for _, s := range c.Sections {
		for _, option := range []string{"stdout_events_enabled", "stderr_events_enabled"} {
			if enabled, known := s.Bool(option, false); enabled || !known {
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

// outputSection is a section for output.
type outputSection struct{ group, process string }

// outputSections returns the sections for output that supervisord does not start by
// itself.
func outputSections(c *supervisordconf.Configuration) (sections []outputSection) {
	for _, s := range c.Sections {
		name, ok := strings.CutPrefix(s.Name, "eventlistener:")
		if !ok || !isOutput(s) || !isStoppedBridge(s) {
			continue
		}
		process := s.Options["process_name"]
		if process == "" || strings.Contains(process, "%") {
			process = name
		}
		sections = append(sections, outputSection{group: name, process: process})
	}
	return sections
}

// isOutput reports whether a section is subscribed to the output of programs alone.
func isOutput(s *supervisordconf.Section) bool {
	events, err := s.Value("events", "")
	return err == nil && onlyOutput(strings.FieldsFunc(events, func(r rune) bool { return r == ',' || r == ' ' }))
}

// isStoppedBridge reports whether a section runs a bridge that supervisord does not start
// by itself.
func isStoppedBridge(s *supervisordconf.Section) bool {
	words := strings.Fields(s.Options["command"])
	autostart, _ := s.Bool("autostart", true)
	return !autostart && len(words) > 0 && strings.HasPrefix(filepath.Base(words[0]), "supernats-bridge")
}

// StarterConfig is what a Starter needs.
type StarterConfig struct {
	Troubles Troubles
	// Pool returns the name of our own section, which is not started.
	Pool func() string
	// SupervisorPID returns supervisord's process id, 0 where it is hidden.
	SupervisorPID func() int
	// Start starts a process that does not run; nil without an XML-RPC of supervisord.
	Start func(ctx context.Context, group, process string) error
}

// Starter starts the section for output when it is needed.
type Starter struct {
	cfg    StarterConfig
	groups chan struct{} // holds a value when a group was added
}

// NewStarter returns a starter that looks at once when it runs.
func NewStarter(cfg StarterConfig) *Starter {
	s := &Starter{cfg: cfg, groups: make(chan struct{}, 1)}
	s.GroupAdded()
	return s
}

// GroupAdded takes note that supervisord has a new group of processes. It waits for
// nothing.
func (s *Starter) GroupAdded() {
	select {
	case s.groups <- struct{}{}:
	default:
	}
}

// Run starts the section for output when it is needed, at our start and each time that a
// group was added, until ctx ends.
func (s *Starter) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.groups:
		}
		if !repeat.Sleep(ctx, outputSoon) {
			return
		}

		for err := s.startNeeded(ctx); err != nil; err = s.startNeeded(ctx) {
			s.cfg.Troubles.Raise(CauseOutput,
				"programs have their output published, and the section for it does not run: "+err.Error(),
				"set autostart=true in that section of supervisord's configuration, then run: supervisorctl update")
			if !repeat.Sleep(ctx, retryStart) {
				return
			}
		}
		s.cfg.Troubles.Clear(CauseOutput)
	}
}

// startNeeded starts the sections for output if there is some.
func (s *Starter) startNeeded(ctx context.Context) error {
	path, err := supervisordconf.Find(s.cfg.SupervisorPID())
	if err != nil {
		return nil
	}
	conf, err := supervisordconf.Read(path)
	if err != nil || !HasOutput(conf) {
		return nil
	}

	for _, section := range outputSections(conf) {
		if section.group == s.cfg.Pool() {
			continue // ourselves
		}
		if s.cfg.Start == nil {
			return fmt.Errorf("start %s: supervisord has no XML-RPC for us", section.group)
		}
		if err := s.cfg.Start(ctx, section.group, section.process); err != nil {
			return fmt.Errorf("start %s: %w", section.group, err)
		}
	}
	return nil
}
