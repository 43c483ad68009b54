package ownlog

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"supernats/schema"
)

// Supervisord is the one whose log is looked for.
type Supervisord struct {
	// PID is its process id, 0 where that is not known.
	PID int
	// Settings is what its command line and configuration say.
	Settings Settings
	// LogEnd, if not nil, returns the last n bytes of its log as it answers over XML-RPC;
	// ok is false where it does not, or where the bytes had to be changed.
	LogEnd func(ctx context.Context, n int) (end string, ok bool)
}

// Settings is what a command line and a configuration say of supervisord's log.
type Settings struct {
	// Logfile is an absolute path, "syslog", or "" where it is not known; Loglevel is a
	// name in lower case.
	Logfile, Loglevel string
	// Hidden means that they may be those of another supervisord.
	Hidden bool
	// Outputs are the files into which programs write.
	Outputs []string
	// Err says why something is not known.
	Err error
}

// Location is where supervisord logs, as far as that can be found out.
type Location struct {
	// File is nil where the log is no file that may be read and is known to be
	// supervisord's. The caller closes it.
	File *File
	// None means that there is no log that anybody could read.
	None bool
	// Mixed means that others write into the file too, without a mark.
	Mixed bool
	// Problem and Fix are for operators, "" if nothing is wrong.
	Problem, Fix string
	// Logfile and Loglevel are those of the settings.
	Logfile, Loglevel string
}

// SetLogfile is what to do where supervisord has no log that can be read.
const SetLogfile = "set logfile= of [supervisord] to a file, for example /var/log/supervisor/supervisord.log, and " +
	"restart supervisord; in the foreground (nodaemon=true) it writes its log to its standard output as well"

// Find finds supervisord's log: from its command line and configuration, and among the
// files that it has open.
func Find(ctx context.Context, s Supervisord) Location {
	settings := s.Settings
	at := Location{Logfile: settings.Logfile, Loglevel: settings.Loglevel}
	if at.Logfile == "" && settings.Err == nil {
		settings.Err = errNoSettings
	}
	if at.Logfile == "" {
		at.Problem = fmt.Sprintf("supervisord's log was not found (%v)", settings.Err)
		at.Fix = "let the bridge's user read supervisord's configuration and /proc, " +
			"or give it the XML-RPC of supervisord"
		return at
	}

	at.open(ctx, s)
	if at.Problem == "" {
		at.checkLevel()
	}
	// Where /proc hides the command line, the usual places were tried: only the log
	// itself shows whether what is there belongs to this supervisord.
	if settings.Hidden && at.File == nil {
		return Location{
			Problem: fmt.Sprintf("supervisord's log was not found (%v)", settings.Err),
			Fix:     "let the bridge's user read /proc, or give it the XML-RPC of supervisord",
		}
	}

	if at.File != nil {
		at.findWriters(s.PID, settings.Outputs)
	}
	return at
}

// checkLevel says what is missing in a log of its level.
func (at *Location) checkLevel() {
	switch at.Loglevel {
	case "warn":
		at.Problem = "loglevel=warn leaves out when programs start: not every death has a reason"
	case "error", "critical":
		at.Problem = "loglevel=" + at.Loglevel + " leaves out how programs died: most deaths have no reason"
		at.None = true
	default:
		return
	}
	at.Fix = "set loglevel=info in [supervisord] and restart supervisord"
}

// open opens the log and makes sure that it is the one that supervisord writes.
func (at *Location) open(ctx context.Context, s Supervisord) {
	if at.Logfile == "syslog" {
		at.noLog("supervisord logs to syslog: most deaths have no reason")
		return
	}
	path, fd := at.target(s.PID)
	st, err := os.Stat(path)
	switch {
	case err == nil && !st.Mode().IsRegular():
		at.noLog(fmt.Sprintf("supervisord's log is %s, which cannot be read: most deaths have no reason", at.Logfile))
		return
	case err != nil && fd >= 0:
		at.noLog(fmt.Sprintf("supervisord's log is %s, which cannot be looked at (%v): most deaths have no reason",
			at.Logfile, err))
		return
	}

	// What supervisord has open goes before what is at the path: the log was renamed or
	// removed and supervisord still writes into it, or the configuration was edited since.
	open, known := descriptors(s.PID)
	switch {
	case known && (err != nil || !open.has(st)):
		path = open.renamed(path)
	case err != nil:
		path = ""
	}
	if path == "" {
		at.Problem = fmt.Sprintf("supervisord's log %s was not found", at.Logfile)
		at.Fix = "restart supervisord if logfile= was edited since it was started"
		return
	}

	f, err := OpenRegular(path)
	if err != nil {
		at.Problem = fmt.Sprintf("supervisord's log cannot be read (%v)", err)
		at.Fix = "let the bridge's user read " + at.Logfile
		return
	}
	if !known && !isLogOf(ctx, f, s) {
		f.Close()
		at.Problem = fmt.Sprintf("%s is not known to be this supervisord's log", at.Logfile)
		at.Fix = "let the bridge run as supervisord's user, or restart supervisord"
		return
	}

	at.File = &File{Path: at.Logfile, file: f, pid: s.PID, fd: -1}
	if fd >= 0 {
		at.File.Path = path
	}
}

// noLog notes that there is no log that anybody could read.
func (at *Location) noLog(problem string) {
	at.None, at.Problem, at.Fix = true, problem, SetLogfile
}

// target returns the path of the log, and the descriptor of supervisord that it means,
// -1 for none.
func (at *Location) target(pid int) (path string, fd int) {
	_, fd = Resolve(at.Logfile)
	if fd < 0 {
		return at.Logfile, -1
	}

	link := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
	path, err := os.Readlink(link)
	if err != nil || !filepath.IsAbs(path) || strings.HasPrefix(path, "/dev/") {
		return link, fd
	}
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return link, fd
	}
	return path, fd
}

// findWriters finds out who else writes into the file: supervisord itself, whose standard
// output was sent there, and children.
func (at *Location) findWriters(pid int, outputs []string) {
	st, err := at.File.file.Stat()
	if err != nil {
		return
	}
	if at.File.fd = overwriter(st, pid); at.File.fd >= 0 {
		return
	}

	for _, path := range outputs {
		path, fd := Resolve(path)
		if fd >= 0 {
			path = fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
		}
		if other, err := os.Stat(path); err == nil && os.SameFile(st, other) {
			at.Mixed = true
			return
		}
	}
}

// overwriter returns the standard output of supervisord if it writes its log there too
// without O_APPEND, over what others append; -1 if not. Up to where it is then, the file
// holds its own lines only.
func overwriter(st fs.FileInfo, pid int) (fd int) {
	const stdout = 1
	out, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%d", pid, stdout))
	if err != nil || !os.SameFile(st, out) {
		return -1
	}
	info, err := readFDInfo(pid, stdout)
	if err != nil || info.appends || info.pos <= 0 {
		return -1
	}
	return stdout
}

// Status is what the started record says of it. rpc is whether supervisord can be asked
// over XML-RPC.
func (at *Location) Status(rpc bool) schema.Reasons {
	s := schema.Reasons{Source: schema.ReasonsNone, Problem: at.Problem, Fix: at.Fix}
	switch {
	case at.File != nil && !at.None:
		s.Source = schema.ReasonsFile
	case rpc && !at.None:
		s.Source = schema.ReasonsRPC
		s.Problem, s.Fix = "", ""
	}
	return s
}
