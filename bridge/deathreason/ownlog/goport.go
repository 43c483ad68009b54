package ownlog

import (
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The Go port of supervisord (ochinchina/supervisord) logs in logrus's words:
//
//	time="2026-11-30T02:47:39Z" level=info msg="program stopped with status:exit status 4" program=early
//	time="2026-11-30T02:47:39Z" level=error msg="fail to start program with error:…" program=missing
//
// No line has a pid, and its goroutines write them in no order that its events have.

func isGoPort(s string) bool { return strings.HasPrefix(s, `time="`) }

// parseGoPort reads one line of its log.
func parseGoPort(s string) Line {
	stamp, rest, ok := strings.Cut(s[len(`time="`):], `" `)
	if !ok {
		return Line{}
	}

	_, rest, ok = strings.Cut(rest, "msg=")
	if !ok {
		return Line{}
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return Line{}
	}
	message, err := strconv.Unquote(quoted)
	if err != nil {
		return Line{}
	}
	name, ok := strings.CutPrefix(rest[len(quoted):], " program=")
	if strings.HasPrefix(name, `"`) {
		name, err = strconv.Unquote(name)
	}
	if !ok || name == "" || err != nil {
		return Line{}
	}

	l := Line{Name: name, Code: -1, GoPort: true}
	if l.At, err = time.Parse(time.RFC3339, stamp); err != nil {
		return Line{}
	}
	if status, ok := strings.CutPrefix(message, "program stopped with status:"); ok {
		l.Kind = Exited
		return parseGoStatus(l, status)
	}
	for _, begin := range []string{"fail to start program with error:", "fail to create program with error:"} {
		if text, ok := strings.CutPrefix(message, begin); ok {
			l.Kind, l.Text = SpawnErr, text
			return l
		}
	}
	return Line{}
}

// parseGoStatus reads what os.ProcessState.String returns.
func parseGoStatus(l Line, status string) Line {
	if code, ok := strings.CutPrefix(status, "exit status "); ok {
		n, err := strconv.ParseUint(code, 10, 8)
		if err != nil {
			return Line{}
		}
		l.Code = int16(n)
		return l
	}

	signal, ok := strings.CutPrefix(status, "signal: ")
	if !ok {
		return Line{}
	}
	signal, l.Core = strings.CutSuffix(signal, " (core dumped)")
	l.Text = goSignals[signal]
	if l.Text == "" {
		return Line{}
	}
	return l
}

// goSignals are the names of signals by what syscall.Signal.String calls them.
var goSignals = func() map[string]string {
	names := map[string]string{}
	for signal, name := range map[syscall.Signal]string{
		syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT", syscall.SIGILL: "SIGILL",
		syscall.SIGTRAP: "SIGTRAP", syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGFPE: "SIGFPE",
		syscall.SIGKILL: "SIGKILL", syscall.SIGUSR1: "SIGUSR1", syscall.SIGSEGV: "SIGSEGV",
		syscall.SIGUSR2: "SIGUSR2", syscall.SIGPIPE: "SIGPIPE", syscall.SIGALRM: "SIGALRM",
		syscall.SIGTERM: "SIGTERM", syscall.SIGXCPU: "SIGXCPU", syscall.SIGXFSZ: "SIGXFSZ",
		syscall.SIGVTALRM: "SIGVTALRM", syscall.SIGPROF: "SIGPROF", syscall.SIGSYS: "SIGSYS",
	} {
		names[signal.String()] = name
	}
	return names
}()
