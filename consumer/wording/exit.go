package wording

import (
	"strconv"
	"strings"
	"time"

	"supernats/schema"
)

// tooQuickly begins what supervisord's process table says of a process that could be started
// and ended within its startsecs (process.py finish): no error of the start.
const tooQuickly = "Exited too quickly"

// Reason is why a process died, "" if that is not known: "exit code 3", "SIGKILL, core
// dumped", "SIGKILL, out of memory at 2.0 of 2 GiB".
func Reason(x *schema.Exit) string {
	return reason(x, "exit code ", (*schema.OOM).String)
}

// ShortReason is Reason where there is little room, without amounts of memory: "exit 3",
// "SIGKILL, out of memory".
func ShortReason(x *schema.Exit) string {
	return reason(x, "exit ", func(*schema.OOM) string { return "out of memory" })
}

// reason is both of them; they differ in the words before a code and for a lack of memory.
func reason(x *schema.Exit, code string, outOfMemory func(*schema.OOM) string) string {
	if x == nil {
		return ""
	}
	if strings.HasPrefix(x.SpawnErr, tooQuickly) && x.OOM == nil && x.Code == nil && x.Signal == "" {
		return "exited within its startsecs"
	}
	if x.SpawnErr != "" && x.OOM == nil && !strings.HasPrefix(x.SpawnErr, tooQuickly) {
		return "spawn error: " + Clip(x.SpawnErr, MaxText)
	}

	s := ""
	switch {
	case x.Signal != "":
		s = Clip(x.Signal, MaxName)
	case x.Code != nil:
		s = code + strconv.Itoa(*x.Code)
	}
	if x.Core {
		s = Join(", ", s, "core dumped")
	}
	if x.OOM != nil {
		s = Join(", ", s, outOfMemory(x.OOM))
	}
	return s
}

// Ran is how long that life of a process lasted, in seconds as in schema.Event.Ran: "ran
// 2 d 4 h", "" if that is not known.
func Ran(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	return "ran " + Lasted(schema.Lasted(*seconds))
}

// EndOfLife is how long that life of the process lasted, and why it ended: "ran 2 d 4 h,
// SIGKILL, out of memory at 2.0 of 2 GiB".
func EndOfLife(ev *schema.AlertEvent) string { return Join(", ", Ran(ev.Ran), Reason(ev.Exit)) }

// OutOfMemory is where memory ran out, "" if it did not: "2.0 of 2 GiB in cgroup
// /system.slice/supervisor.service".
func OutOfMemory(x *schema.Exit) string {
	if x == nil || x.OOM == nil {
		return ""
	}
	return Join(" ", x.OOM.Amount(), "in cgroup "+Clip(x.OOM.Cgroup, MaxText))
}

// LastLook is what the last look at a process saw, and how long before its end: "2.2 s
// before: 1.9 GiB (peak 2.0 GiB), 2 h 32 min CPU, 9 threads, 31 open files". It is "" where
// there was no look.
func LastLook(ev *schema.AlertEvent) string {
	look := ev.Last
	if look == nil {
		return ""
	}

	s := ""
	if look.RSS > 0 {
		s = schema.Bytes(look.RSS)
		if peak := schema.Bytes(look.PeakRSS); look.PeakRSS > look.RSS && peak != s {
			s += " (peak " + peak + ")"
		}
	}
	if look.CPU > 0 {
		s = Join(", ", s, Lasted(schema.Lasted(look.CPU))+" CPU")
	}
	if look.Threads > 0 {
		s = Join(", ", s, plural(int64(look.Threads), "thread"))
	}
	if look.Descriptors > 0 {
		s = Join(", ", s, plural(int64(look.Descriptors), "open file"))
	}

	if before := lookedBefore(ev); before > 0 && s != "" {
		s = Lasted(before) + " before: " + s
	}
	return s
}

// lookedBefore is how long before its end the last look at a process was, 0 if that is
// not known. The look has the time of the host's clock.
func lookedBefore(ev *schema.AlertEvent) time.Duration {
	if ev.Ran != nil && ev.Last.Age > 0 {
		return max(0, schema.Lasted(*ev.Ran)-schema.Lasted(ev.Last.Age))
	}

	ended := ev.Time.Time
	if ev.HostTime != nil {
		ended = ev.HostTime.Time
	}
	return max(0, ended.Sub(ev.Last.Time.Time))
}

// lossCauses say why events are lost.
var lossCauses = map[string]string{
	schema.LossBuffer:       "supervisord's buffer for the bridge overflowed",
	schema.LossFull:         "the spool of the bridge is full",
	schema.LossCorrupt:      "the spool of the bridge is damaged, or a part of it is gone",
	schema.LossNotListening: "supervisord did not run the bridge for a while",
}

// LossCause is why events are lost, one of the schema.Loss… constants in words, "" if
// that is not known.
func LossCause(cause string) string {
	if s := lossCauses[cause]; s != "" {
		return s
	}
	return Clip(cause, MaxName)
}
