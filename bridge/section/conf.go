package section

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

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
	// in its name. Empty: defaultLogfile().
	StderrLogfile string
	// Container sends the logs to supervisord's own standard error.
	Container bool
}

// The buffer sizes of the two sections, in events.
const (
	mainBuffer = 65536
	logsBuffer = 16384
)

// logsFlags are what the command of the section for output has besides: the other section
// publishes its ticks and the process table, and serves the metrics.
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
		Name: Name, Events: mainEvents, Buffer: mainBuffer, Priority: mainPriority,
		Stderr: file, Container: o.Container,
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
		second.Buffer = logsBuffer
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

// printed is a section for the template.
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
		return strings.ReplaceAll(defaultLogfile(usualConfigurations, usualLogs, os.Geteuid()), "%", "%%"), nil
	case !isValue(o.StderrLogfile):
		return "", fmt.Errorf("--stderr-logfile: invalid value %q: "+
			"want a path without line breaks, comments (a space and ; or #) and spaces around it", o.StderrLogfile)
	}
	return o.StderrLogfile, nil
}

// isValue reports whether supervisord reads a text as it is. Nothing can be quoted in a
// value; a ; or # after a space begins a comment.
func isValue(text string) bool {
	return text != "" && strings.TrimSpace(text) == text && !strings.ContainsAny(text, "\r\n") &&
		!strings.Contains(text, " ;") && !strings.Contains(text, " #") && !strings.ContainsAny(text[:1], ";#")
}

// logsName is the file of the section for output.
func logsName(file string) string {
	isWord := !strings.ContainsAny(file, "/.") // AUTO, NONE, syslog
	if isWord || strings.HasPrefix(file, "/dev/") || strings.HasPrefix(file, "/proc/") {
		return file
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

// defaultLogfile returns a file for the bridge's log in a directory that exists
// (supervisord refuses its whole configuration otherwise, datatypes.py existing_dirpath)
// and into which supervisord can probably write: that of its own log if its configuration
// is found, /var/log/supervisor, /var/log for root, or the one for temporary files. It is
// not AUTO: those are removed when supervisord starts, and each update leaves another one.
func defaultLogfile(configurations []string, logs string, uid int) string {
	const name = "supernats-bridge.log"
	for _, path := range configurations {
		c, err := supervisordconf.Read(path)
		if err != nil {
			continue
		}
		isFile := filepath.IsAbs(c.Logfile) && !strings.HasPrefix(c.Logfile, "/dev/")
		if dir := filepath.Dir(c.Logfile); isFile && isDir(dir) {
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
