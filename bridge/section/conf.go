package section

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"supernats/bridge/supervisordconf"
)

// The sections that Write prints are Name and, for the output of programs, Name +
// LogsSuffix.
const (
	Name       = "supernats"
	LogsSuffix = "-logs"
)

// mainPriority is that of the first section that Write prints; the second one's
// is one less.
const mainPriority = -17

// Options say what Write prints.
type Options struct {
	// OneSection prints a single section, with all events.
	OneSection bool
	// StderrLogfile is where the bridge's log goes, in the language of supervisord's
	// configuration: %(here)s is its directory. The second section's file has "-logs"
	// in its name. Empty: StderrLogfile().
	StderrLogfile string
	// Container sends the logs to supervisord's own standard error.
	Container bool
}

// logsFlags are what the command of the section of logs has besides: the other
// section publishes its ticks and the process table, and serves the metrics.
var logsFlags = []string{"--skip", "TICK", "--snapshot-every", "0", "--listen", "off"}

// Write prints the sections that lose nothing: [eventlistener:supernats] and,
// for the output of programs, [eventlistener:supernats-logs]. command is what
// supervisord shall run, logs the same without the flags that logsFlags sets.
func Write(w io.Writer, command, logs []string, o Options) error {
	file, err := o.stderrLogfile()
	if err != nil {
		return err
	}
	main := printed{
		Name: Name, Events: mainEvents, Buffer: 65536, Priority: mainPriority, Stderr: file, Container: o.Container,
	}
	if o.OneSection {
		main.Events = "EVENT"
	}
	if main.Command, err = commandLine(command); err != nil {
		return err
	}

	list := []printed{main}
	if !o.OneSection {
		second := main
		second.Name, second.Events = Name+LogsSuffix, logsEvents
		second.Priority, second.Logs = mainPriority-1, true
		second.Buffer = 16384
		second.Stderr = logsName(file)
		if second.Command, err = commandLine(logs); err != nil {
			return err
		}
		// Its own flags have a line of their own.
		second.Command = "\n  " + second.Command + "\n  " + strings.Join(logsFlags, " ")
		list = append(list, second)
	}
	return confTemplate.Execute(w, map[string]any{"Sections": list, "Two": !o.OneSection})
}

// What the two sections are subscribed to; together it is every event of supervisor
// (events.py EventTypes). The ticks of the second one are for its watch.
const (
	mainEvents = "PROCESS_STATE,REMOTE_COMMUNICATION,SUPERVISOR_STATE_CHANGE,TICK,PROCESS_GROUP"
	logsEvents = "PROCESS_LOG,PROCESS_COMMUNICATION,TICK_3600"
)

type printed struct {
	Name, Command, Events, Stderr string
	Buffer, Priority              int
	Logs, Container               bool
}

// commandLine writes a command for supervisord.
func commandLine(command []string) (string, error) {
	words := make([]string, len(command))
	for i, word := range command {
		if strings.ContainsAny(word, "\r\n") {
			return "", fmt.Errorf("write %q into supervisord's configuration: it cannot hold a line break", word)
		}
		words[i] = quoteWord(word)
	}
	return strings.Join(words, " "), nil
}

// quoteWord quotes one word of a command for supervisord: shlex, and % is its
// own sign for variables. A ; or # after a space would begin a comment even
// inside of quotes: it gets a quote in front.
func quoteWord(word string) string {
	plain := func(r rune) bool {
		return r > ' ' && !strings.ContainsRune(`"'\;#`, r)
	}
	if word == "" || strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) >= 0 {
		word = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, ";", `"";`, "#", `""#`).Replace(word) + `"`
	}
	return strings.ReplaceAll(word, "%", "%%")
}

// stderrLogfile is the value of stderr_logfile.
func (o Options) stderrLogfile() (string, error) {
	switch {
	case o.StderrLogfile == "" && o.Container:
		return "/dev/stderr", nil
	case o.StderrLogfile == "":
		return strings.ReplaceAll(StderrLogfile(), "%", "%%"), nil
	}
	// Nothing can be quoted in a value; a ; or # after a space begins a comment.
	if strings.ContainsAny(o.StderrLogfile, "\r\n") || strings.Contains(o.StderrLogfile, " ;") || strings.Contains(o.StderrLogfile, " #") ||
		strings.TrimSpace(o.StderrLogfile) != o.StderrLogfile || strings.ContainsAny(o.StderrLogfile[:1], ";#") {
		return "", fmt.Errorf("--stderr-logfile: invalid value %q: want a path without line breaks, comments (a space and ; or #) and spaces around it", o.StderrLogfile)
	}
	return o.StderrLogfile, nil
}

// logsName is the file of the section of logs.
func logsName(file string) string {
	if !strings.Contains(file, "/") && !strings.Contains(file, ".") || strings.HasPrefix(file, "/dev/") || strings.HasPrefix(file, "/proc/") {
		return file // AUTO, NONE, syslog, or no file
	}
	ext := filepath.Ext(file)
	return strings.TrimSuffix(file, ext) + LogsSuffix + ext
}

// Where supervisord's configuration is, if nobody says otherwise (options.py
// Options.__init__), and where its logs are in the usual packages.
var (
	usualConfigurations = []string{"/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"}
	usualLogs           = "/var/log/supervisor"
)

// StderrLogfile returns a file for the bridge's log in a directory that exists
// (supervisord refuses its whole configuration otherwise, datatypes.py
// existing_dirpath) and into which supervisord can probably write: that of its own
// log if its configuration is found, /var/log/supervisor, /var/log for root, or the
// one for temporary files. It is no AUTO: those are removed when supervisord starts,
// and each update leaves another one.
func StderrLogfile() string { return stderrLogfile(usualConfigurations, usualLogs, os.Geteuid()) }

func stderrLogfile(configurations []string, logs string, uid int) string {
	const name = "supernats-bridge.log"
	for _, path := range configurations {
		c, err := supervisordconf.Read(path)
		if err != nil {
			continue
		}
		if dir := filepath.Dir(c.Logfile); filepath.IsAbs(c.Logfile) && !strings.HasPrefix(c.Logfile, "/dev/") && isDir(dir) {
			return filepath.Join(dir, name)
		}
		break
	}
	switch {
	case isDir(logs):
		return filepath.Join(logs, name)
	case uid == 0 && isDir(filepath.Dir(logs)):
		return filepath.Join(filepath.Dir(logs), name)
	}
	// Files of several users lie there.
	return filepath.Join(os.TempDir(), "supernats-bridge-"+strconv.Itoa(uid)+".log")
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

var confTemplate = template.Must(template.New("conf").Parse(`; Publishes every event of this supervisord to NATS JetStream.
; Put it into supervisord.conf or a file of its [include], then run
;   supervisorctl update
{{- range .Sections}}
{{- if .Logs}}

; The output of programs with stdout_events_enabled, stderr_events_enabled or a
; capture. supervisord keeps events for each section by itself: in one with the
; other events, a program that writes a lot pushes crashes out of the buffer.
; The bridge of the section above starts this one when there is such a program.
{{- end}}
[eventlistener:{{.Name}}]
command={{.Command}}
{{- if .Logs}}
; TICK_3600 is how a broken pipe is noticed. It is published by the other section,
; so not by this one (--skip TICK).
{{- else if $.Two}}
; Everything but the output of programs, which the section below is for; what
; nobody reads costs little. TICK_5 or TICK_60 must be among the events if you
; choose some: their silence is how a broken pipe is noticed.
{{- else}}
; Everything; what nobody reads costs little. TICK_5 or TICK_60 must be among
; the events if you choose some: their silence is how a broken pipe is noticed.
{{- end}}
events={{.Events}}
{{- if .Logs}}
; Each holds up to 64 KiB of output, in supervisord's memory. When the buffer is
; full supervisord drops the oldest one, which is counted and reported.
buffer_size={{.Buffer}}
; The rest is as in the section above, where it is explained.
startsecs=0
numprocs=1
{{- else}}
; supervisord's default is 10, and when the buffer is full it drops the oldest
; event: the events of a start of ten programs would not fit.
buffer_size={{.Buffer}}
; Nothing is delivered before the listener counts as started: with the default
; of 1 the events of the first second would wait in the buffer.
startsecs=0
; Several processes would divide the events among them, out of order.
numprocs=1
{{- end}}
process_name={{.Name}}
{{- if not .Logs}}
; Started before and stopped after all programs. Unlike any other listener's: an
; event that a listener answers with FAIL is offered again to every listener
; that has the same priority.
{{- end}}
priority={{.Priority}}
autostart={{if .Logs}}false{{else}}true{{end}}
{{- if not .Logs}}
; Also after an exit that it meant: a listener is needed always.
{{- end}}
autorestart=true
{{- if not .Logs}}
; SIGTERM, then time to publish what was accepted (--drain), then SIGKILL.
{{- end}}
stopsignal=TERM
stopwaitsecs=10
{{- if not .Logs}}
; Standard output carries the protocol. It must not be mixed with errors, and
; logging it is of no use and has kept supervisord at 100 % CPU when the log
; was rotated.
{{- end}}
redirect_stderr=false
stdout_logfile=NONE
{{- if .Container}}
{{- if not .Logs}}
; What a container's runtime collects; it cannot be rotated.
{{- end}}
stderr_logfile={{.Stderr}}
stderr_logfile_maxbytes=0
{{- else}}
{{- if not .Logs}}
; Its directory has to exist, and supervisord has to be allowed to write there. With
; AUTO each update would leave a file, and a start of supervisord remove them.
{{- end}}
stderr_logfile={{.Stderr}}
stderr_logfile_maxbytes=10MB
stderr_logfile_backups=2
{{- end}}
{{- end}}
`))
