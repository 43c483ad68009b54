// Package doctor examines this machine's supervisord and its sections of the bridge, and
// says what is wrong, where it stands and how to fix it. It changes nothing.
//
// It reads supervisord's configuration as supervisord does, asks the kernel who may read
// what, and, where it may, asks supervisord and NATS: supervisord once, for at most 5 s,
// and NATS for at most 5 s for each different connection. Rights are those of the file
// modes: access lists are not looked at.
package doctor

import (
	"context"
	"fmt"
	"os"
	"strings"

	"supernats/bridge/deathwatch"
	"supernats/bridge/supervisordconf"
	"supernats/schema"
	"supernats/schema/natsconn"
)

// Status grades a finding, as `supernats doctor` does.
type Status string

// Statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Finding is what a check has found.
type Finding struct {
	Status Status `json:"status"`
	Check  string `json:"check"`
	// Message begins with the place, if there is one.
	Message string `json:"message"`
	// Fix is what to write where, and the command after it.
	Fix string `json:"fix,omitempty"`
	// File, Line and Section are the place in supervisord's configuration.
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Section string `json:"section,omitempty"`
}

// Flags are what a section's command line says.
type Flags struct {
	Host, SpoolDir, ServerURL string
	Drain                     schema.Duration
	Skip                      []string
	NATS                      natsconn.Settings
	// Files are those that flags name, by flag.
	Files map[string]string
}

// Options say what is examined, and how.
type Options struct {
	// Conf is supervisord's configuration file; "" is the first usual one that is there.
	Conf string
	// OnlyWithSection examines nothing if no section runs the bridge.
	OnlyWithSection bool
	// ReadFlags reads the flags of a bridge as a process with these variables would. The
	// variables are set in this process while it runs.
	ReadFlags func(args []string) (Flags, error)
	// LackKernelExits is for a kernel that does not say how processes ended.
	LackKernelExits bool
}

// usualConfs are where supervisord's configuration is, if nobody says otherwise (options.py
// Options.__init__).
var usualConfs = []string{"/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"}

// UsualConf returns the first usual configuration file that is there, "" without one.
func UsualConf() string {
	for _, path := range usualConfs {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// host is what the checks look at.
type host struct {
	Options
	conf    *supervisordconf.Configuration
	bridges []*bridgeSection
	daemon  daemon
	// hasAsked is set when supervisord has said what it runs.
	hasAsked bool
	fix      fixer
	report   report
}

// checks are made in this order; each has at least one finding.
var checks = []struct {
	name, fine string
	run        func(context.Context, *host)
}{
	{"supervisord", "supervisord runs, and its log has the reasons of deaths", checkSupervisord},
	{"rpc", "supervisord can be asked by its bridges", checkServers},
	{"section", "the sections of the bridge lose nothing", checkSections},
	{"events", "every event goes to a bridge", checkEvents},
	{"command", "the bridge can be started", checkCommands},
	{"spool", "events are kept on disk until NATS has them", checkSpools},
	{"programs", "no exit code of a crash counts as expected", checkPrograms},
	{"running", "supervisord runs the sections", checkRunning},
	{"nats", "NATS takes the bridge's credentials", checkNATS},
}

// Examine makes all checks. What keeps one from its end is a finding.
func Examine(ctx context.Context, o Options) []Finding {
	o.LackKernelExits = o.LackKernelExits || !deathwatch.KernelReportsExits()
	h := &host{Options: o}
	if h.Conf == "" {
		h.Conf = UsualConf()
	}
	h.fix.conf = h.Conf
	h.report.check = "config"
	if h.Conf == "" {
		if o.OnlyWithSection {
			return nil
		}
		h.report.fail(nil, "", "name it: supernats-bridge doctor --supervisord-conf FILE",
			"none of %s is there", strings.Join(usualConfs, ", "))
		return h.report.findings
	}

	conf, err := supervisordconf.Read(h.Conf)
	if err != nil {
		h.report.fail(nil, "", "correct that line, then run: "+h.fix.ctl("update"),
			"supervisord refuses the whole configuration: %v", err)
		return h.report.findings
	}
	h.conf = conf
	h.daemon = findDaemon(conf)
	h.fix.pid = h.daemon.pid
	h.bridges = h.findBridges()
	if o.OnlyWithSection && len(h.bridges) == 0 {
		return nil
	}
	checkValues(h)
	h.report.add(Finding{Status: OK, Message: fmt.Sprintf("%s: %d sections, %d of them of the bridge",
		h.Conf, len(conf.Sections), len(h.bridges))})

	for _, c := range checks {
		before := len(h.report.findings)
		h.report.check = c.name
		c.run(ctx, h)
		examined := len(h.bridges) > 0 || c.name == "supervisord"
		if c.name == "running" {
			examined = examined && h.hasAsked
		}
		if examined && len(h.report.findings) == before {
			h.report.add(Finding{Status: OK, Message: c.fine})
		}
	}
	return h.report.findings
}

// Failed counts the failures among findings.
func Failed(findings []Finding) (n int) {
	for _, f := range findings {
		if f.Status == Fail {
			n++
		}
	}
	return n
}

// report collects findings.
type report struct {
	check    string
	findings []Finding
}

func (r *report) add(f Finding) {
	f.Check = r.check
	r.findings = append(r.findings, f)
}

// addAt adds a finding about an option of a section, which may be nil.
func (r *report) addAt(status Status, s *supervisordconf.Section, option, fix, format string, args ...any) {
	f := Finding{Status: status, Fix: fix, Message: fmt.Sprintf(format, args...)}
	if s != nil {
		place, _ := s.Place(option)
		f.File, f.Line, f.Section = place.File, place.Line, s.Name
		f.Message = fmt.Sprintf("%v [%s]: %s", place, s.Name, f.Message)
	}
	r.add(f)
}

func (r *report) warn(s *supervisordconf.Section, option, fix, format string, args ...any) {
	r.addAt(Warn, s, option, fix, format, args...)
}

func (r *report) fail(s *supervisordconf.Section, option, fix, format string, args ...any) {
	r.addAt(Fail, s, option, fix, format, args...)
}
