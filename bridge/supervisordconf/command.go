package supervisordconf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// command is how a supervisord was started, as far as it matters here.
type command struct {
	program string // argv[0] of Python: the script's path
	config  string // -c, as it is written; "" without
	// logfile, loglevel and directory are "" if the command has none: they are
	// stronger than the configuration (options.py ServerOptions).
	logfile, loglevel, directory string
}

// Options of supervisord's command line that have a value (options.py
// ServerOptions.__init__).
const shortWithValue = "cumdlyzejiqa"

// longOptions are all its long ones; getopt takes any unique beginning.
var longOptions = []string{
	"help", "configuration=", "version", "nodaemon", "user=", "umask=", "directory=", "logfile=", "logfile_maxbytes=",
	"logfile_backups=", "loglevel=", "pidfile=", "identifier=", "childlogdir=", "minfds=", "minprocs=", "nocleanup",
	"strip_ansi", "profile_options=", "silent",
}

// parseCommand reads a command line, with or without the interpreter before the
// script.
func parseCommand(argv []string) command {
	var c command
	for len(argv) > 0 {
		c.program, argv = argv[0], argv[1:]
		if strings.Contains(filepath.Base(c.program), "supervisord") {
			break
		}
	}

	for len(argv) > 0 && len(argv[0]) >= 2 && argv[0][0] == '-' {
		option, value, needs := splitOption(argv[0])
		argv = argv[1:]
		if needs && len(argv) > 0 {
			value, argv = argv[0], argv[1:]
		}
		c.set(option, value)
	}
	return c
}

// splitOption returns the option of an argument that may have a value, "" if there is none,
// with its value. needs means that the value is the next argument.
func splitOption(arg string) (option, value string, needs bool) {
	if long, ok := strings.CutPrefix(arg, "--"); ok {
		name, value, given := strings.Cut(long, "=")
		full, takes := longOption(name)
		return full, value, takes && !given
	}

	// Of several short ones in an argument the first with a value takes the rest.
	for i := 1; i < len(arg); i++ {
		if strings.IndexByte(shortWithValue, arg[i]) >= 0 {
			value := arg[i+1:]
			return arg[i : i+1], value, value == ""
		}
	}
	return "", "", false
}

// set takes an option that matters here.
func (c *command) set(option, value string) {
	switch option {
	case "c", "configuration":
		c.config = value
	case "l", "logfile":
		c.logfile = value
	case "e", "loglevel":
		c.loglevel = strings.ToLower(value)
	case "d", "directory":
		c.directory = value
	}
}

// longOption returns the whole name of a long option, and whether it has a value.
func longOption(name string) (full string, value bool) {
	found := ""
	for _, o := range longOptions {
		switch plain := strings.TrimSuffix(o, "="); {
		case plain == name:
			return plain, plain != o
		case strings.HasPrefix(plain, name):
			found = o
		}
	}
	full = strings.TrimSuffix(found, "=")
	return full, full != found
}

// Find returns the path of the configuration file of the supervisord
// with a pid: that of -c, or where supervisord looks without it (options.py
// Options.__init__). /proc may hide it: then an error says so.
func Find(pid int) (path string, err error) {
	c, cwd, err := readCommand(pid)
	if err != nil {
		return "", err
	}
	return c.configuration(cwd)
}

// readCommand reads the command line of a process and the directory it is in.
func readCommand(pid int) (c command, cwd string, err error) {
	if pid <= 0 {
		return c, "", errors.New("find configuration: supervisord's pid is not known")
	}
	proc := fmt.Sprintf("/proc/%d/", pid)
	line, err := os.ReadFile(proc + "cmdline")
	if err != nil {
		return c, "", fmt.Errorf("find configuration: %w", err)
	}
	if len(line) == 0 {
		return c, "", fmt.Errorf("find configuration: process %d has no command line", pid)
	}
	argv := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	// Of another user's process it may not be read; then only absolute paths help.
	cwd, _ = os.Readlink(proc + "cwd")
	return parseCommand(argv), cwd, nil
}

func (c command) configuration(cwd string) (string, error) {
	paths := []string{c.config}
	if c.config == "" {
		here := filepath.Dir(filepath.Dir(c.program))
		paths = []string{
			filepath.Join(here, "etc/supervisord.conf"), filepath.Join(here, "supervisord.conf"),
			"supervisord.conf", "etc/supervisord.conf", "/etc/supervisord.conf", "/etc/supervisor/supervisord.conf",
		}
	}

	for _, path := range paths {
		if !filepath.IsAbs(path) {
			if cwd == "" {
				continue
			}
			path = filepath.Join(cwd, path)
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find configuration: none of %s is there; start supervisord with -c and an absolute path",
		strings.Join(paths, ", "))
}

// Running is what the command line and the configuration of a running supervisord say.
type Running struct {
	// Config is nil where no configuration was found that may be read.
	Config *Configuration
	// Logfile and Loglevel are those of the command line, else those of Config. Logfile
	// is absolute, "syslog", or "" where it is not known.
	Logfile, Loglevel string
	// Hidden means that /proc hides the command line. Config is then that of the usual
	// places: whether it belongs to this supervisord is not known.
	Hidden bool
}

// ReadRunning reads the command line and the configuration of the supervisord with a
// pid, 0 where that is not known. The error says what could not be read; what could be
// read is returned all the same.
func ReadRunning(pid int) (Running, error) {
	c, cwd, err := readCommand(pid)
	r := Running{Hidden: err != nil}

	config, confErr := c.read(cwd, pid)
	if !r.Hidden {
		err = confErr
	}
	if config != nil {
		r.Config, r.Logfile, r.Loglevel = config, config.Logfile, config.Loglevel
	}

	if c.logfile != "" && (cwd != "" || filepath.IsAbs(c.logfile)) {
		r.Logfile = logPath(c.logfile, cwd, os.Getenv("HOME"))
	}
	if c.loglevel != "" {
		r.Loglevel = c.loglevel
	}
	return r, err
}

// read reads the configuration of a command, with the environment of the process if that
// may be read.
func (c command) read(cwd string, pid int) (*Configuration, error) {
	path, err := c.configuration(cwd)
	if err != nil {
		return nil, err
	}
	return readConfiguration(path, cwd, environOf(pid))
}

// environOf are the variables of a process, ours where they may not be read.
func environOf(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || len(b) == 0 {
		return os.Environ()
	}
	return strings.Split(string(b), "\x00")
}
