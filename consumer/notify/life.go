package notify

import (
	"strconv"
	"time"

	"supernats/schema"
)

// Why is all that is said of an end in parentheses: how long that life of the process
// lasted, and the reason. "ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB".
func Why(ev *schema.AlertEvent) string { return joined(Ran(ev), Reason(ev.Exit)) }

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}

// Ran says how long the process had run when it ended, "" if that is not known.
func Ran(ev *schema.AlertEvent) string {
	if ev.Ran == nil {
		return ""
	}
	return "ran " + Lasted(schema.Lasted(*ev.Ran))
}

// Lasted is a length of time in its two largest units: "2 d 4 h", "3 min 20 s", "42 s",
// "3.2 s", "12 ms".
func Lasted(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0)
	// As it is rounded: 59.6 s are a minute.
	switch seconds, minutes := d.Round(time.Second), d.Round(time.Minute); {
	case d < time.Second:
		return units(d, time.Millisecond, "ms", 0, "")
	case d.Round(100*time.Millisecond) < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case seconds < time.Minute:
		return units(seconds, time.Second, "s", 0, "")
	case seconds < time.Hour:
		return units(seconds, time.Minute, "min", time.Second, "s")
	case minutes < day:
		return units(minutes, time.Hour, "h", time.Minute, "min")
	}
	return units(d.Round(time.Hour), day, "d", time.Hour, "h")
}

// units writes d in one unit and what is left of it in a smaller one, unless that is
// nothing or small is 0.
func units(d, large time.Duration, name string, small time.Duration, smallName string) string {
	s := strconv.FormatInt(int64(d/large), 10) + " " + name
	if small > 0 && d%large >= small {
		s += " " + strconv.FormatInt(int64(d%large/small), 10) + " " + smallName
	}
	return s
}

// OutOfMemory says where memory ran out, "" if it did not: "2.0 of 2 GiB in cgroup
// /system.slice/supervisor.service".
func OutOfMemory(x *schema.Exit) string {
	if x == nil || x.OOM == nil {
		return ""
	}
	s := "in cgroup " + Clip(x.OOM.Cgroup, maxText)
	if amount := x.OOM.Amount(); amount != "" {
		s = amount + " " + s
	}
	return s
}

// LastLook says how long before its end the last look at a process was, and what it saw:
// "2.2 s before: 1.9 GiB (peak 2.0 GiB), 2 h 32 min CPU, 9 threads, 31 open files". It is
// empty where nobody looked.
func LastLook(ev *schema.AlertEvent) string {
	l := ev.Last
	if l == nil {
		return ""
	}
	s := ""
	if l.RSS > 0 {
		s = schema.Bytes(l.RSS)
		if peak := schema.Bytes(l.PeakRSS); l.PeakRSS > l.RSS && peak != s {
			s += " (peak " + peak + ")"
		}
	}
	if l.CPU > 0 {
		s = joined(s, Lasted(schema.Lasted(l.CPU))+" CPU")
	}
	if l.Threads > 0 {
		s = joined(s, plural(int64(l.Threads), "thread"))
	}
	if l.Descriptors > 0 {
		s = joined(s, plural(int64(l.Descriptors), "open file"))
	}

	if before := lookedBefore(ev); before > 0 && s != "" {
		s = Lasted(before) + " before: " + s
	}
	return s
}

// lookedBefore is how long before its end the last look at a process was, 0 if that is
// not known. The look is of the host's clock.
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
