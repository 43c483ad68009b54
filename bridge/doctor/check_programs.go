package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"supernats/bridge/supervisordconf"
)

// checkPrograms finds programs whose deaths are not reported, or without their reason.
func checkPrograms(_ context.Context, h *host) {
	var silent []string
	for _, s := range h.conf.Sections {
		kind, name, _ := strings.Cut(s.Name, ":")
		if kind != "program" && kind != "fcgi-program" {
			continue
		}
		checkWorkingDirectory(h, s)
		checkExitCodes(h, s)
		checkStarts(h, s)
		checkTwice(h, s)
		if keepsNoOutput(s) {
			silent = append(silent, name)
		}
	}

	if len(silent) > 0 {
		h.report.OK("what these programs print is kept nowhere (stdout_logfile, stderr_logfile), so their crashes are "+
			"reported without the last lines of a log: %s", firstOf(silent))
	}
}

// crashCodes are exit codes with which something went wrong in most programs: the general
// error, those of a shell that could not run a command, and those of one whose command died
// by SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV.
var crashCodes = []string{"1", "126", "127", "134", "135", "136", "137", "139"}

// checkExitCodes reports a program that says of the exit code of most errors, or of many
// codes, that it is expected.
func checkExitCodes(h *host, s *supervisordconf.Section) {
	const many = 10
	text, err := s.ProcessValue("exitcodes", "0")
	if err != nil {
		return
	}
	codes := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	hides := slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(crashCodes, code) })
	if !hides && len(codes) < many {
		return
	}
	shown := text
	if len(codes) > many {
		shown = fmt.Sprintf("%s,… (%d codes)", strings.Join(codes[:3], ","), len(codes))
	}
	h.report.warn(s, "exitcodes", h.fix.set(s, "exitcodes", "0"),
		"exitcodes is %s: a crash with one of these codes counts as expected, and nobody is notified", shown)
}

// checkStarts reports a program that supervisord starts again without end: with startsecs=0
// no start fails, so there is no pause between two, and it is never FATAL (process.py finish).
func checkStarts(h *host, s *supervisordconf.Section) {
	startsecs, known := s.Int("startsecs", 1)
	restart, err := s.ProcessValue("autorestart", "unexpected")
	never, isBool := s.Bool("autorestart", true)
	if !known || startsecs > 0 || err != nil || isBool && !never {
		return
	}
	h.report.warn(s, "startsecs", h.fix.set(s, "startsecs", "1"),
		"startsecs is 0 and autorestart is %s: if it dies at once it is started again at once and without end: "+
			"it is never FATAL, and each time is an exit of its own for the rules", restart)
}

// keepsNoOutput reports whether what a program prints is in no file, and nobody outside, as
// the runtime of a container, has it either.
func keepsNoOutput(s *supervisordconf.Section) bool {
	isLost := func(option string) bool {
		value, err := s.ProcessValue(option, "AUTO")
		target := supervisordconf.TargetOf(value)
		return err == nil && (target == supervisordconf.LogNone || target == supervisordconf.LogSyslog)
	}
	redirects, _ := s.Bool("redirect_stderr", false)
	return isLost("stdout_logfile") && (redirects || isLost("stderr_logfile"))
}
