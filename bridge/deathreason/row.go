package deathreason

import (
	"strconv"
	"strings"
	"time"

	"supernats/bridge/deathreason/replay"
	"supernats/schema"
)

// promptly is how long after a death its event is taken to be about the state that
// supervisord reports now.
const promptly = 5 * time.Second

// rowExit returns the reason of the last death of a process as its row of the process table
// has it now, nil if that may be of another one: each start clears it (process.py spawn),
// which comes milliseconds after most deaths, and then it may have died again. The event
// was made after made and read at a time.
func rowExit(e *schema.Event, p *schema.SnapshotProcess, made, at time.Time, goPort bool) *schema.Exit {
	state := strings.TrimPrefix(e.Event, "PROCESS_STATE_")

	switch {
	case p.PID != 0:
		return nil
	case goPort:
		return goPortRowExit(state, p, at)
	case e.Event == schema.ProcessStateExited:
		// -1 is any signal. spawnerr is set for an unexpected exit only. What was started
		// before it died has not been started since.
		code := p.ExitStatus
		if p.State == schema.StateExited && code >= 0 && code <= 255 &&
			p.SpawnErr == "Bad exit code "+strconv.Itoa(code) && time.Unix(p.Start+1, 0).Before(made) {
			return &schema.Exit{Code: &code}
		}
	case p.SpawnErr == "" || p.State != state:
	case e.Event == schema.ProcessStateFatal:
		// Nothing follows FATAL but an operator's start.
		if last := time.Unix(max(p.Start, p.Stop), 0); !last.After(at.Add(replay.ClockSlack)) {
			return &schema.Exit{SpawnErr: p.SpawnErr}
		}
	default:
		since := p.Start
		if strings.HasPrefix(p.SpawnErr, "Exited too quickly") {
			since = p.Stop
		}
		if isPrompt(at, since) {
			return &schema.Exit{SpawnErr: p.SpawnErr}
		}
	}
	return nil
}

// goPortRowExit is rowExit of the Go port, which keeps the status until the next start,
// without a word on why.
func goPortRowExit(state string, p *schema.SnapshotProcess, at time.Time) *schema.Exit {
	code := p.ExitStatus
	if p.State != state || p.State != schema.StateExited && p.State != schema.StateBackoff {
		return nil
	}
	if code <= 0 || code > 255 || !isPrompt(at, p.Stop) {
		return nil
	}
	return &schema.Exit{Code: &code}
}

// isPrompt reports whether an event was read soon after a time, which is by supervisord's
// clock in whole seconds.
func isPrompt(at time.Time, unix int64) bool {
	d := at.Sub(time.Unix(unix, 0))
	return d > -replay.ClockSlack && d < promptly
}
