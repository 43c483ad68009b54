package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/term"

	"supernats/consumer"
	"supernats/schema"
	"supernats/schema/stream"
)

type psCmd struct {
	Pattern string `arg:"" optional:"" help:"A glob for a process, group:process or host."`
	whose
	outputFlag
}

// Run prints the records of state.
func (p *psCmd) Run(ctx context.Context, c *common) error {
	filter, err := p.filter()
	if err != nil {
		return err
	}
	pattern := consumer.Filter{Processes: []string{p.Pattern}}
	if err := pattern.Check(); err != nil {
		return usageError{err}
	}
	js, closeConn, err := c.connect()
	if err != nil {
		return err
	}
	defer closeConn()
	states, err := readStates(ctx, js)
	if err != nil {
		return err
	}
	states = slices.DeleteFunc(states, func(s schema.State) bool { return !p.matches(filter, s) })
	slices.SortFunc(states, func(a, b schema.State) int {
		return slices.Compare([]string{a.Host, a.Group, a.Process}, []string{b.Host, b.Group, b.Process})
	})
	if output := outputFor(os.Stdout, p.Output); output != outputTable {
		return printJSON(os.Stdout, output, states)
	}
	return printStates(os.Stdout, states, time.Now())
}

func (p *psCmd) matches(filter consumer.Filter, s schema.State) bool {
	if !filter.Match(&schema.Event{Host: s.Host, Group: s.Group, Process: s.Process}) {
		return false
	}
	return p.Pattern == "" || consumer.Glob(p.Pattern, s.Process) || consumer.Glob(p.Pattern, s.Group+":"+s.Process) || consumer.Glob(p.Pattern, s.Host)
}

// readStates returns every record of the bucket.
func readStates(ctx context.Context, js jetstream.JetStream) ([]schema.State, error) {
	kv, err := js.KeyValue(ctx, stream.StateBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("bucket %s is missing: it is filled by `supernats consume`, which has not run on this NATS yet", stream.StateBucket)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.StateBucket, err)
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", stream.StateBucket, err)
	}
	defer func() { _ = w.Stop() }()
	var states []schema.State
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case e := <-w.Updates():
			if e == nil { // that was all
				return states, nil
			}
			var s schema.State
			err := json.Unmarshal(e.Value(), &s)
			if err == nil && schema.StateKey(s.Host, s.Group, s.Process) != e.Key() {
				err = errors.New("is of another process")
			}
			if err != nil { // not written by `supernats consume`
				fmt.Fprintf(os.Stderr, "supernats: record %s of bucket %s: %v\n", e.Key(), stream.StateBucket, err)
				continue
			}
			states = append(states, s)
		}
	}
}

var stateColumns = []string{"HOST", "PROCESS", "STATE", "FOR", "PID", "STARTS", "EXITS", "UNEXPECTED", "FATALS", "LAST EXIT"}

func stateRow(s schema.State, now time.Time) []string {
	dash := func(n int) string {
		if n == 0 {
			return "-"
		}
		return strconv.Itoa(n)
	}
	last := "-"
	if s.LastExit != nil {
		last = s.LastExit.Local().Format("2006-01-02 15:04:05")
		if s.Exit != nil {
			last += " (" + reason(s.Exit) + ")"
		}
	}
	row := []string{
		s.Host, processName(s.Group, s.Process), s.State, age(now.Sub(s.Since.Time)), dash(s.PID),
		fmt.Sprint(s.Starts), fmt.Sprint(s.Exits), fmt.Sprint(s.UnexpectedExits), fmt.Sprint(s.Fatals), last,
	}
	for i := range row {
		row[i] = clean(row[i])
	}
	return row
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

func printStates(w *os.File, states []schema.State, now time.Time) error {
	if len(states) == 0 {
		_, err := fmt.Fprintln(os.Stderr, "no process is known that matches; states appear with the first event of a process")
		return err
	}
	if !term.IsTerminal(int(w.Fd())) {
		return plainTable(w, states, now)
	}
	width, _, err := term.GetSize(int(w.Fd()))
	if err != nil {
		width = 120
	}
	bold := lipgloss.NewStyle().Bold(true).Padding(0, 1)
	t := table.New().Headers(stateColumns...).Border(lipgloss.NormalBorder()).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).
		StyleFunc(func(row, col int) lipgloss.Style {
			switch {
			case row == table.HeaderRow:
				return bold
			case stateColumns[col] == "STATE":
				return lipgloss.NewStyle().Padding(0, 1).Foreground(stateColor(states[row].State))
			}
			return lipgloss.NewStyle().Padding(0, 1)
		})
	for _, s := range states {
		t.Row(stateRow(s, now)...)
	}
	if lipgloss.Width(t.String()) > width {
		t.Width(width)
	}
	_, err = lipgloss.Fprintln(w, t)
	return err
}

func stateColor(state string) lipgloss.ANSIColor {
	switch state {
	case "RUNNING":
		return 2
	case "FATAL", "EXITED", "UNKNOWN":
		return 1
	case "BACKOFF", "STARTING", "STOPPING":
		return 3
	}
	return 7
}

func plainTable(w io.Writer, states []schema.State, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(stateColumns, "\t"))
	for _, s := range states {
		fmt.Fprintln(tw, strings.Join(stateRow(s, now), "\t"))
	}
	return tw.Flush()
}
