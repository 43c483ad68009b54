// Package tables lays out what the commands show: processes, hosts, alerts, silences,
// findings. It turns records into tables and sentences, in the words and colors of the
// terminal, and reads nothing itself.
package tables

import (
	"fmt"
	"time"

	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Processes shows the states of processes. now is the time by which spans are read.
func Processes(processes []inspect.Process, now time.Time) *terminal.Table {
	t := &terminal.Table{
		Columns: []string{
			"HOST", "PROCESS", "STATE", "FOR", "PID", "STARTS", "EXITS",
			"UNEXPECTED", "FATALS", "LAST EXIT",
		},
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
		lastExit = wording.Ago(now.Sub(s.LastExit.Time))
		if s.Exit != nil && wording.Reason(s.Exit) != "" {
			lastExit += ", " + wording.ShortReason(s.Exit)
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

	pid := wording.Number(s.PID)
	if s.StoppedSince != nil {
		pid = "-"
	}
	return []string{
		s.Host, wording.ProcessName(s.Group, s.Process), state, wording.Compact(now.Sub(since.Time)), pid,
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
	case schema.StateRunning:
		return terminal.Green
	case schema.StateFatal, schema.StateExited, schema.StateUnknown:
		return terminal.Red
	case schema.StateBackoff, schema.StateStarting, schema.StateStopping:
		return terminal.Yellow
	}
	return terminal.Grey
}
