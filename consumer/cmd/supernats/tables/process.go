// Package tables lays out what the commands show: processes, hosts, alerts, silences,
// findings. Each function turns records into a table, in the words and colors of the
// terminal; none of them reads anything.
package tables

import (
	"fmt"
	"time"

	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
)

// Processes shows the states of processes. now is the time by which spans are read.
func Processes(processes []inspect.Process, now time.Time) *terminal.Table {
	t := &terminal.Table{
		Columns: []string{"HOST", "PROCESS", "STATE", "FOR", "PID", "STARTS", "EXITS", "UNEXPECTED", "FATALS", "LAST EXIT"},
		Colored: "STATE", Now: now,
		Optional: []string{"FATALS", "STARTS", "EXITS", "UNEXPECTED", "PID"},
		Flexible: map[string]int{
			"HOST": terminal.WideName, "PROCESS": terminal.WideName,
			"STATE": terminal.WideText, "LAST EXIT": terminal.WideText,
		},
	}
	for i := range processes {
		t.Add(processColor(&processes[i]), processRow(&processes[i], now)...)
	}
	return t
}

func processRow(s *inspect.Process, now time.Time) []string {
	lastExit := "-"
	if s.LastExit != nil {
		lastExit = terminal.Ago(now.Sub(s.LastExit.Time))
		if s.Exit != nil && terminal.Reason(s.Exit) != "" {
			lastExit += ", " + terminal.ShortReason(s.Exit)
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

	pid := terminal.Dash(s.PID)
	if s.StoppedSince != nil {
		pid = "-"
	}
	return []string{
		s.Host, terminal.ProcessName(s.Group, s.Process), state, terminal.Age(now.Sub(since.Time)), pid,
		fmt.Sprint(s.Starts), fmt.Sprint(s.Exits), fmt.Sprint(s.UnexpectedExits), fmt.Sprint(s.Fatals), lastExit,
	}
}

func processColor(s *inspect.Process) terminal.Color {
	switch {
	case s.Gone != nil:
		return terminal.Grey
	case s.UnknownSince != nil || s.StoppingSince != nil:
		return terminal.Yellow
	case s.StoppedSince != nil:
		return terminal.Grey
	}

	switch s.ProcessRecord.State {
	case "RUNNING":
		return terminal.Green
	case "FATAL", "EXITED", "UNKNOWN":
		return terminal.Red
	case "BACKOFF", "STARTING", "STOPPING":
		return terminal.Yellow
	}
	return terminal.Grey
}
