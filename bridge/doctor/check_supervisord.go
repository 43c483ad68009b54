package doctor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"supernats/bridge/daemons"
	"supernats/bridge/supervisordconf"
)

// checkSupervisord checks that supervisord runs, and what it logs.
func checkSupervisord(_ context.Context, h *host) {
	own := h.conf.Section("supervisord")
	logfile, level := h.conf.Logfile, h.conf.Loglevel
	if h.daemon.PID == 0 {
		h.report.warn(nil, "", h.fix.startCommand(),
			"no supervisord runs with %s (%s names none): nothing is started and nothing is published",
			h.Conf, daemons.PIDFile(h.conf))
	} else if running, err := supervisordconf.ReadRunning(h.daemon.PID); err == nil {
		logfile, level = running.Logfile, running.Loglevel // -l and -e of the command line win
	}

	// What supervisord says of a start that failed is nowhere else; without pidfd that is
	// true of deaths too (process.py finish, record_spawnerr).
	lost := "why a program could not be started"
	if h.LackKernelExits {
		lost = "why a program died, or could not be started"
	}
	switch {
	case slices.Contains([]string{"debug", "trace", "blather"}, level):
		h.report.warn(own, "loglevel", h.fix.set(own, "loglevel", "info"),
			"loglevel is %s: supervisord logs all that programs print, which fills the disk and "+
				"can look like its own lines", level)
	case slices.Contains([]string{"warn", "error", "critical"}, level):
		h.report.warn(own, "loglevel", h.fix.set(own, "loglevel", "info"),
			"loglevel is %s: supervisord does not log %s", level, lost)
	}
	checkLogfile(h, own, logfile, lost)
}

// checkLogfile checks supervisord's own log.
func checkLogfile(h *host, own *supervisordconf.Section, logfile, lost string) {
	const usual = "/var/log/supervisord.log"
	name := strings.ToLower(filepath.Base(logfile))
	switch {
	case logfile == "/dev/null", name == "none", name == "off", logfile == "syslog":
		h.report.warn(own, "logfile", h.fix.set(own, "logfile", usual),
			"logfile is %s: nobody can read %s", logfile, lost)
	case strings.HasPrefix(logfile, "/dev/"), strings.HasPrefix(logfile, "/proc/"):
		// A container's; the runtime collects it.
	case isZero(own, "logfile_maxbytes") && !isRotated(logfile):
		h.report.warn(own, "logfile_maxbytes", h.fix.set(own, "logfile_maxbytes", "50MB"),
			"logfile_maxbytes is 0: %s grows until the disk is full", logfile)
	}
}

func isZero(s *supervisordconf.Section, option string) bool {
	v, err := s.Value(option, "")
	return err == nil && v != "" && strings.Trim(v, "0") == ""
}

// isRotated reports whether logrotate knows a log, or the directory it is in.
func isRotated(logfile string) bool {
	files, _ := filepath.Glob("/etc/logrotate.d/*")
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), filepath.Dir(logfile)+"/")
	})
}
