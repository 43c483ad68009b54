package supervisord

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"supernats/schema"
)

// location is where supervisord logs, as far as that can be found out.
type location struct {
	// file is nil where the log is no file that may be read and is known to be
	// supervisord's.
	file *logFile
	// none means that there is no log that anybody could read.
	none bool
	// mixed means that others write into the file too, without a mark.
	mixed        bool
	problem, fix string
	// logfile is the path of the log where it is known, config the configuration.
	logfile string
	level   string
	config  *Configuration
}

const setLogfile = "set logfile= of [supervisord] to a file, for example /var/log/supervisor/supervisord.log, and restart supervisord; " +
	"in the foreground (nodaemon=true) it writes its log to its standard output as well"

// locate finds supervisord's log: from its command line and configuration, and among
// the files that it has open. client may be nil.
func locate(ctx context.Context, pid int, client *Client) location {
	var at location
	c, cwd, err := readCommand(pid)
	hidden := err != nil
	// Where /proc hides the command line, the usual places are tried: whether what is
	// there belongs to this supervisord its log shows.
	config, confErr := configurationOf(c, cwd, pid)
	if at.config = config; !hidden {
		err = confErr
	}
	if at.config != nil {
		at.logfile, at.level = at.config.Logfile, at.config.Loglevel
	}
	if c.logfile != "" && (cwd != "" || filepath.IsAbs(c.logfile)) {
		at.logfile = logPath(c.logfile, cwd, os.Getenv("HOME"))
	}
	if c.loglevel != "" {
		at.level = c.loglevel
	}
	if at.logfile == "" {
		at.problem = fmt.Sprintf("supervisord's log was not found (%v)", err)
		at.fix = "let the bridge's user read supervisord's configuration and /proc, or give it the XML-RPC of supervisord"
		return at
	}

	at.open(ctx, pid, client)
	if at.problem == "" {
		at.checkLevel()
	}
	if hidden && at.file == nil {
		return location{
			problem: fmt.Sprintf("supervisord's log was not found (%v)", err),
			fix:     "let the bridge's user read /proc, or give it the XML-RPC of supervisord",
		}
	}
	return at
}

func configurationOf(c command, cwd string, pid int) (*Configuration, error) {
	path, err := c.configuration(cwd)
	if err != nil {
		return nil, err
	}
	environ := os.Environ()
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil && len(b) > 0 {
		environ = strings.Split(string(b), "\x00")
	}
	return readConfiguration(path, cwd, environ)
}

// checkLevel says what is missing in a log of its level.
func (at *location) checkLevel() {
	switch at.level {
	case "warn":
		at.problem = "loglevel=warn leaves out when programs start: not every death has a reason"
	case "error", "critical":
		at.problem = "loglevel=" + at.level + " leaves out how programs died: most deaths have no reason"
		at.none = true
	default:
		return
	}
	at.fix = "set loglevel=info in [supervisord] and restart supervisord"
}

// resolve follows symbolic links as supervisord does: where they lead to a standard
// descriptor it is supervisord's, not ours. fd is -1 if they lead to another file.
func resolve(path string) (_ string, fd int) {
	const most = 40
	for range most {
		if fd := standard(path); fd >= 0 {
			return path, fd
		}
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path, -1
}

// standard returns which of supervisord's standard descriptors a path means, -1 for
// none.
func standard(path string) int {
	switch path {
	case "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
		return 1
	case "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2":
		return 2
	}
	return -1
}

// open opens the log and makes sure that it is the one that supervisord writes.
func (at *location) open(ctx context.Context, pid int, client *Client) {
	path := at.logfile
	if path == "syslog" {
		at.none, at.problem, at.fix = true, "supervisord logs to syslog: most deaths have no reason", setLogfile
		return
	}
	_, fd := resolve(path)
	if fd >= 0 {
		path = fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
		if target, err := os.Readlink(path); err == nil && filepath.IsAbs(target) && !strings.HasPrefix(target, "/dev/") {
			if st, err := os.Stat(target); err == nil && st.Mode().IsRegular() {
				path = target
			}
		}
	}
	st, err := os.Stat(path)
	switch {
	case err == nil && !st.Mode().IsRegular():
		at.none = true
		at.problem = fmt.Sprintf("supervisord's log is %s, which cannot be read: most deaths have no reason", at.logfile)
		at.fix = setLogfile
		return
	case err != nil && fd >= 0:
		at.none = true
		at.problem = fmt.Sprintf("supervisord's log is %s, which cannot be looked at (%v): most deaths have no reason", at.logfile, err)
		at.fix = setLogfile
		return
	}

	open, known := descriptors(pid)
	switch {
	case known && (err != nil || !open.has(st)):
		// Renamed or removed, and supervisord writes on; or the configuration was
		// edited since.
		path = renamed(open, path)
	case err != nil:
		path = ""
	}
	if path == "" {
		at.problem = fmt.Sprintf("supervisord's log %s was not found", at.logfile)
		at.fix = "restart supervisord if logfile= was edited since it was started"
		return
	}

	f, err := openRegular(path)
	if err != nil {
		at.problem = fmt.Sprintf("supervisord's log cannot be read (%v)", err)
		at.fix = "let the bridge's user read " + at.logfile
		return
	}
	if !known && !isLog(ctx, f, pid, client) {
		f.Close()
		at.problem = fmt.Sprintf("%s is not known to be this supervisord's log", at.logfile)
		at.fix = "let the bridge run as supervisord's user, or restart supervisord"
		return
	}
	at.file = &logFile{path: at.logfile, file: f, pid: pid, fd: -1}
	if fd >= 0 {
		at.file.path = path
	}
	at.shared(f, pid)
}

// renamed returns the descriptor of the file that was at a path.
func renamed(open openFiles, path string) string {
	for _, link := range open {
		target, err := os.Readlink(link)
		if err == nil && (strings.TrimSuffix(target, " (deleted)") == path || isRotated(target, path)) {
			return link
		}
	}
	return ""
}

// isRotated reports whether a path is what programs make of another one to rotate it.
func isRotated(target, path string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(target, " (deleted)"), path)
	return ok && rest != "" && strings.ContainsAny(rest[:1], ".-_~") ||
		filepath.Base(target) == filepath.Base(path) && target != path
}

// shared finds out who else writes into the file: supervisord itself, whose standard
// output was sent there, and children.
func (at *location) shared(f *os.File, pid int) {
	st, err := f.Stat()
	if err != nil {
		return
	}
	for fd := 1; fd <= 2; fd++ {
		out, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		if err != nil || !os.SameFile(st, out) {
			continue
		}
		// What it writes there without O_APPEND goes over what others appended. Up to
		// where it is then, the file holds its own lines only.
		if info, err := readFDInfo(pid, fd); err == nil && !info.appends && info.pos > 0 && fd == 1 {
			at.file.fd = fd
			return
		}
	}
	if at.config == nil {
		return
	}
	for _, s := range at.config.Sections {
		for _, option := range []string{"stdout_logfile", "stderr_logfile"} {
			value, err := s.Value(option, "")
			if err != nil || value == "" {
				continue
			}
			value, n := resolve(value)
			if n >= 0 {
				value = fmt.Sprintf("/proc/%d/fd/%d", pid, n)
			}
			if other, err := os.Stat(value); err == nil && os.SameFile(st, other) {
				at.mixed = true
				return
			}
		}
	}
}

// isLog reports whether a file holds what only the log of this supervisord can: that
// it has started us, or itself, or what it says over XML-RPC is the end of its log.
func isLog(ctx context.Context, f *os.File, pid int, client *Client) bool {
	tail := func() string {
		st, err := f.Stat()
		if err != nil {
			return ""
		}
		b := make([]byte, min(st.Size(), fileTail))
		n, err := f.ReadAt(b, st.Size()-int64(len(b)))
		if err != nil && !errors.Is(err, io.EOF) {
			return ""
		}
		return string(bytes.ToValidUTF8(b[:n], nil))
	}
	lines := tail()
	if name := os.Getenv("SUPERVISOR_PROCESS_NAME"); name != "" &&
		strings.Contains(lines, " INFO spawned: '"+name+"' with pid "+strconv.Itoa(os.Getpid())+"\n") {
		return true
	}
	if pid > 0 && strings.Contains(lines, " INFO supervisord started with pid "+strconv.Itoa(pid)+"\n") {
		return true
	}
	if client == nil {
		return false
	}
	const enough = 400
	answers, added, err := client.askCounting(ctx, question{"supervisor.readLog", []any{int64(-enough), int64(0)}})
	if err != nil || answers[0].err != nil || added != 0 {
		return false
	}
	end := text(answers[0].value)
	return len(end) >= enough/2 && strings.Contains(tail(), end)
}

// status is what the started record says of it.
func (at *location) status(rpc bool) schema.Reasons {
	s := schema.Reasons{Source: schema.ReasonsNone, Problem: at.problem, Fix: at.fix}
	switch {
	case at.file != nil && !at.none:
		s.Source = schema.ReasonsFile
	case rpc && !at.none:
		s.Source = schema.ReasonsRPC
		s.Problem, s.Fix = "", ""
	}
	return s
}
