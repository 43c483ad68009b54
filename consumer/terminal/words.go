package terminal

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"supernats/schema"
)

// Counted writes a number with what it counts: "1 host", "2 hosts".
func Counted[T int | uint64](n T, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// Wait says how many wait: "1 notification waits", "2 notifications wait".
func Wait(n uint64, what string) string {
	if n == 1 {
		return "1 " + what + " waits"
	}
	return Counted(n, what) + " wait"
}

// Are begins a sentence: "1 host is", "2 hosts are".
func Are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return Counted(n, what) + " are"
}

// Tries says how often something was tried.
func Tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

// Processes says how many processes there are.
func Processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}

// ProcessName writes a process as supervisorctl does.
func ProcessName(group, process string) string {
	if group == process {
		return process
	}
	return group + ":" + process
}

// Reason says why a process ended.
func Reason(x *schema.Exit) string {
	s := ""
	switch {
	case x.Signal != "":
		s = x.Signal
	case x.Code != nil:
		s = "exit code " + strconv.Itoa(*x.Code)
	case x.SpawnErr != "":
		s = "spawn error: " + x.SpawnErr
	}
	if x.Core {
		s += ", core dumped"
	}
	if x.OOM != nil {
		s += ", " + x.OOM.String()
	}
	return s
}

// ShortReason is Reason for a column: "exit 3", "SIGKILL, out of memory".
func ShortReason(x *schema.Exit) string {
	short := *x
	if x.OOM != nil {
		short.OOM = &schema.OOM{}
	}
	return strings.Replace(Reason(&short), "exit code ", "exit ", 1)
}

// Ran says how long a process had run, "" if that is not known.
func Ran(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	d := schema.Lasted(*seconds)
	switch {
	case d < time.Second:
		return "ran " + d.String()
	case d < 10*time.Second:
		return "ran " + d.Round(100*time.Millisecond).String()
	}
	return "ran " + Age(d)
}

// Clean replaces what would steer a terminal.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// Dash writes a number, or that there is none.
func Dash[T int | uint64](n T) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatUint(uint64(n), 10)
}

// Date writes a time in the operator's zone, or that there is none.
func Date(t *schema.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// Age writes a span of time in its two largest units.
func Age(d time.Duration) string {
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

// Ago writes how long ago something was, in its largest unit. It rounds as Age, which
// stands beside it.
func Ago(d time.Duration) string {
	d = max(0, d).Round(time.Second)
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

// ShellQuote writes a name so that a shell takes it for one word: commands in messages are
// there to be copied.
func ShellQuote(name string) string {
	special := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./@:", r)
	}
	if name != "" && !strings.ContainsFunc(name, special) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// Mebibytes writes a size: "0.4 MiB".
func Mebibytes[T uint64 | schema.Size](n T) string {
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}
