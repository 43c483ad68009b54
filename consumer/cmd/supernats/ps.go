package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/schema"
	"supernats/schema/stream"
)

type psCmd struct {
	Pattern string   `arg:"" optional:"" help:"A glob for a process, group, group:process or host."`
	All     bool     `env:"-" help:"Also processes that their supervisord does not have any more."`
	Down    bool     `env:"-" help:"Only processes that should run and do not, or of which nobody knows because their host is silent or its supervisord was killed."`
	State   []string `env:"-" sep:"none" placeholder:"STATE" help:"Only processes in these states, by supervisor's names: ${states}. Repeatable, or with commas."`
	whose
	outputFlag
}

// shownState is a record of state as it is printed.
type shownState struct {
	schema.ProcessRecord
	// UnknownSince is set if the host, or the supervisord of the process, is silent
	// since then or was killed then: the state is what it was.
	UnknownSince *schema.Time `json:"unknown_since,omitempty"`
	// StoppingSince is set if its supervisord shuts down since then: not all listeners are
	// told of what it stops.
	StoppingSince *schema.Time `json:"stopping_since,omitempty"`
	// StoppedSince is set if its supervisord announced its shutdown, and was seen last
	// then: it has stopped the process, and nobody was told any more.
	StoppedSince *schema.Time `json:"stopped_since,omitempty"`

	// down says that it should run, and does not or nobody knows.
	down bool
}

// Run prints the records of state.
func (p *psCmd) Run(ctx context.Context, c *common) error {
	filter, err := p.filter()
	if err != nil {
		return err
	}
	if err := p.checkStates(); err != nil {
		return usageError{err}
	}
	pattern := consumer.Filter{Processes: []string{p.Pattern}}
	if err := pattern.Check(); err != nil {
		return usageError{err}
	}
	return c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		states, now, err := readStates(ctx, js)
		if err != nil {
			return err
		}
		states = slices.DeleteFunc(states, func(s shownState) bool {
			return s.Gone != nil && !p.All || !p.matches(filter, &s)
		})
		slices.SortFunc(states, func(a, b shownState) int {
			return slices.Compare([]string{a.Host, a.Group, a.Process}, []string{b.Host, b.Group, b.Process})
		})
		if output := outputFor(os.Stdout, p.Output); output != outputTable {
			return printJSON(os.Stdout, output, states)
		}
		return printStates(os.Stdout, states, now)
	})
}

func (p *psCmd) matches(filter consumer.Filter, s *shownState) bool {
	if !filter.Match(&schema.Event{Host: s.Host, Group: s.Group, Process: s.Process}) || !p.inState(s) || p.Down && !s.down {
		return false
	}
	return p.Pattern == "" || schema.MatchGlob(p.Pattern, s.Process) || schema.MatchGlob(p.Pattern, s.Group) || schema.MatchGlob(p.Pattern, s.Group+":"+s.Process) || schema.MatchGlob(p.Pattern, s.Host)
}

// readStates returns the records of all processes and the time by which they are
// to be read.
func readStates(ctx context.Context, js jetstream.JetStream) ([]shownState, time.Time, error) {
	records, err := readBucket(ctx, js, stream.StateBucket, func(s *schema.ProcessRecord) string { return schema.StateKey(s.Host, s.Group, s.Process) })
	if err != nil {
		return nil, time.Time{}, err
	}
	f, err := readFleet(ctx, js)
	if err != nil {
		return nil, time.Time{}, err
	}
	states := make([]shownState, len(records))
	for i, r := range records {
		states[i].ProcessRecord = r
		f.show(&states[i])
	}
	return states, f.now, nil
}

var stateColumns = []string{"HOST", "PROCESS", "STATE", "FOR", "PID", "STARTS", "EXITS", "UNEXPECTED", "FATALS", "LAST EXIT"}

func stateRow(s shownState, now time.Time) []string {
	last := "-"
	if s.LastExit != nil {
		last = ago(now.Sub(s.LastExit.Time))
		if s.Exit != nil && reason(s.Exit) != "" {
			last += ", " + shortReason(s.Exit)
		}
	}
	state, since := s.ProcessRecord.State, s.Since
	switch {
	case s.Gone != nil:
		state, since = "gone (was "+state+")", *s.Gone
	case s.UnknownSince != nil:
		state, since = "unknown (was "+state+")", *s.UnknownSince
	case s.StoppingSince != nil:
		state, since = "stopping (was "+state+")", *s.StoppingSince
	case s.StoppedSince != nil:
		state, since = "stopped (was "+state+")", *s.StoppedSince
	}
	pid := dash(s.PID)
	if s.StoppedSince != nil {
		pid = "-"
	}
	return []string{
		s.Host, processName(s.Group, s.Process), state, age(now.Sub(since.Time)), pid,
		fmt.Sprint(s.Starts), fmt.Sprint(s.Exits), fmt.Sprint(s.UnexpectedExits), fmt.Sprint(s.Fatals), last,
	}
}

// dash writes a number, or that there is none.
func dash[T int | uint64](n T) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatUint(uint64(n), 10)
}

// date writes a time in the operator's zone, or that there is none.
func date(t *schema.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// age writes a time span in its two largest units.
func age(d time.Duration) string {
	d = max(0, d).Round(time.Second)
	days, hours, minutes, seconds := d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60, d/time.Second%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}

// ago writes how long ago something was, in its largest unit.
func ago(d time.Duration) string {
	d = max(0, d).Round(time.Second) // as age, which stands beside it
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd ago", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh ago", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm ago", d/time.Minute)
	}
	return fmt.Sprintf("%ds ago", d/time.Second)
}

// shortReason is reason for a column: "exit 3", "SIGKILL, out of memory".
func shortReason(x *schema.Exit) string {
	short := *x
	if x.OOM != nil {
		short.OOM = &schema.OOM{}
	}
	return strings.Replace(reason(&short), "exit code ", "exit ", 1)
}

func printStates(w *os.File, states []shownState, now time.Time) error {
	if len(states) == 0 {
		say("no process is known that matches; states appear with the first event of a process")
		return nil
	}
	g := grid{
		columns: stateColumns, colored: "STATE", now: now,
		optional: []string{"FATALS", "STARTS", "EXITS", "UNEXPECTED", "PID"},
		flexible: map[string]int{"HOST": wideName, "PROCESS": wideName, "STATE": wideText, "LAST EXIT": wideText},
	}
	for _, s := range states {
		g.add(stateColor(s), stateRow(s, now)...)
	}
	return g.print(w)
}

func stateColor(s shownState) lipgloss.ANSIColor {
	if s.Gone != nil {
		return grey
	}
	if s.UnknownSince != nil || s.StoppingSince != nil {
		return yellow
	}
	if s.StoppedSince != nil {
		return grey
	}
	switch s.ProcessRecord.State {
	case "RUNNING":
		return green
	case "FATAL", "EXITED", "UNKNOWN":
		return red
	case "BACKOFF", "STARTING", "STOPPING":
		return yellow
	}
	return grey
}
