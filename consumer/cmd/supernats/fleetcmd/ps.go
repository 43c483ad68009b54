package fleetcmd

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Ps is the command ps.
type Ps struct {
	Pattern string   `arg:"" optional:"" help:"A glob for a process, group, group:process or host."`
	All     bool     `env:"-" help:"Include processes that their supervisord no longer has."`
	Down    bool     `env:"-" help:"${help_down}"`
	State   []string `env:"-" sep:"none" placeholder:"STATE" help:"${help_state}"`
	Watch   bool     `short:"w" env:"-" help:"${help_watch}"`
	frame.ProcessFlags
	frame.OutputFlag
}

// Examples are shown below the help.
func (*Ps) Examples() []string {
	return []string{
		"supernats ps", "supernats ps 'api*' --host 'web*'", "supernats ps --state down,unknown",
		"supernats ps --watch 'api*'", "supernats ps --all -o json",
	}
}

// Run prints the states of processes.
func (p *Ps) Run(ctx context.Context, c *frame.Flags) error {
	filter, err := p.Filter()
	if err != nil {
		return err
	}
	if err := p.checkStates(); err != nil {
		return frame.UsageError{Err: err}
	}
	pattern := consumer.Filter{Processes: []string{p.Pattern}}
	if err := pattern.Check(); err != nil {
		return frame.UsageError{Err: err}
	}
	if p.Watch {
		return p.watch(ctx, c, filter)
	}

	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		processes, now, err := r.Processes(ctx)
		if err != nil {
			return err
		}
		processes = slices.DeleteFunc(processes, func(s inspect.Process) bool {
			return !p.matches(filter, &s)
		})
		known := len(processes)
		if p.Down {
			processes = slices.DeleteFunc(processes, func(s inspect.Process) bool { return !s.Down })
		}
		table := func(w *os.File) error {
			if p.Down && len(processes) == 0 && known > 0 {
				terminal.Say("nothing is down (of %s)", wording.Count(known, "process", "processes"))
				return nil
			}
			return printProcesses(w, processes, now)
		}
		return frame.Print(&p.OutputFlag, processes, table)
	})
}

func (p *Ps) matches(filter consumer.Filter, s *inspect.Process) bool {
	if s.Gone != nil && !p.All {
		return false
	}
	chosen := filter.Match(&schema.Event{Host: s.Host, Group: s.Group, Process: s.Process})
	if !chosen || !p.isInState(s) {
		return false
	}
	if p.Pattern == "" {
		return true
	}
	return slices.ContainsFunc([]string{s.Process, s.Group, s.Group + ":" + s.Process, s.Host}, func(name string) bool {
		return schema.MatchGlob(p.Pattern, name)
	})
}

// stateDown stands for all states in which a process is not as it should be.
const stateDown = "DOWN"

// checkStates makes the names of --state upper case, and refuses others.
func (p *Ps) checkStates() error {
	if p.State == nil {
		return nil
	}

	var names []string
	for given := range strings.SplitSeq(strings.Join(p.State, ","), ",") {
		name := strings.ToUpper(strings.TrimSpace(given))
		if !schema.IsState(name) && name != stateDown {
			return fmt.Errorf("--state: invalid state %q: want %s or %s", given,
				strings.Join(schema.States(), ", "), stateDown)
		}
		names = append(names, name)
	}
	p.State = names
	return nil
}

// isInState reports whether a process is in one of the states that --state asks for. One
// whose host is silent was in the state of its record, and is UNKNOWN now; one whose
// supervisord was shut down is STOPPED.
func (p *Ps) isInState(s *inspect.Process) bool {
	return len(p.State) == 0 || slices.Contains(p.State, s.ProcessRecord.State) ||
		s.UnknownSince != nil && slices.Contains(p.State, schema.StateUnknown) ||
		s.StoppedSince != nil && slices.Contains(p.State, schema.StateStopped) ||
		s.Down && slices.Contains(p.State, stateDown)
}

func printProcesses(w *os.File, processes []inspect.Process, now time.Time) error {
	if len(processes) == 0 {
		terminal.Say("no process is known that matches; states appear with the first event of a process")
		return nil
	}

	return tables.Processes(processes, now).Print(w)
}
