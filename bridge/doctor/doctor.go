// Package doctor examines this machine's supervisord and its sections of the bridge, and
// says what is wrong, where it stands and how to fix it. It changes nothing.
//
// It reads supervisord's configuration as supervisord does, tries with the rights of each
// user what that may do, and, where it may, asks supervisord and NATS.
//
// It waits for nobody for long: a check that has not ended after checkTimeout is a finding,
// and the others are made all the same. Together they take 45 s at most. A check that waits
// for a file system that does not answer stays behind: whoever examines for somebody does
// it in a process of its own.
package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"supernats/bridge/daemons"
	"supernats/bridge/deathwatch"
	"supernats/bridge/listeners"
	"supernats/bridge/supervisordconf"
	"supernats/schema/checkup"
)

const (
	// checkTimeout is how long a check may take, Timeout how long all together.
	checkTimeout = 12 * time.Second
	Timeout      = 45 * time.Second
)

// Options say what is examined, and how.
type Options struct {
	// Conf is supervisord's configuration file; "" is the first usual one that is there.
	Conf string
	// OnlyWithSection examines nothing if no section runs the bridge.
	OnlyWithSection bool
	// ReadFlags reads the flags of a bridge as a process with these variables would. The
	// variables are set in this process while it runs.
	ReadFlags func(args []string) (listeners.Flags, error)
	// LackKernelExits is for a kernel that does not say how processes ended.
	LackKernelExits bool
	// Machine returns what runs on this machine; nil: daemons.Look.
	Machine func() daemons.Machine
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

// host is what the checks look at. Each check has a copy of its own, with a report of its
// own: one that does not end disturbs no other.
type host struct {
	Options
	conf *supervisordconf.Configuration
	// sections reads those of the bridge, which are bridges.
	sections listeners.Reader
	bridges  []*listeners.Bridge
	daemon   daemons.Daemon
	machine  daemons.Machine
	// hasAsked is set when supervisord has said what it runs.
	hasAsked bool
	fix      fixer
	report   report
	// at is what is looked at, for a check that does not end. All copies share it.
	at *atomic.Value
}

// check is one thing that is examined.
type check struct {
	// name is shown; fine says that nothing is wrong, "" for a check that says so itself.
	name, fine string
	run        func(context.Context, *host)
}

// checks are made in this order after the check config.
var checks = []check{
	{"supervisord", "supervisord runs, and its log has the reasons of deaths", checkSupervisord},
	{"rpc", "supervisord can be asked by its bridges", checkServers},
	{"section", "the sections of the bridge lose nothing", checkSections},
	{"events", "every event goes to a bridge", checkEvents},
	{"command", "the bridge can be started", checkCommands},
	{"spool", "events are kept on disk until NATS has them", checkSpools},
	{"programs", "no exit code of a crash counts as expected", checkPrograms},
	{"running", "supervisord runs the sections", checkRunning},
	{"nats", "NATS takes the bridge's credentials", checkNATS},
	{"others", "", checkOthers},
}

// Examine makes all checks. What keeps one from its end is a finding.
func Examine(ctx context.Context, o Options) []checkup.Finding {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()

	o.LackKernelExits = o.LackKernelExits || !deathwatch.KernelReportsExits()
	if o.Machine == nil {
		o.Machine = daemons.Look
	}
	h := &host{Options: o, at: new(atomic.Value)}
	var found []checkup.Finding
	prepared := check{name: "config", run: func(_ context.Context, h *host) { h.prepare() }}
	h, found = prepared.make(ctx, h)
	if h == nil || h.conf == nil || o.OnlyWithSection && len(h.bridges) == 0 {
		return found
	}

	for _, c := range checks {
		_, more := c.make(ctx, h)
		found = append(found, more...)
	}
	return found
}

// make makes a check on a copy of a host, and returns that with what was found; nil if the
// check has not ended in its time.
func (c check) make(ctx context.Context, of *host) (*host, []checkup.Finding) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()

	h := *of
	h.report = report{checkup.Report{Check: c.name}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.run(ctx, &h)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		return nil, h.unanswered(c.name)
	}

	if len(h.report.Findings) == 0 && c.fine != "" && c.examines(&h) {
		h.report.OK("%s", c.fine)
	}
	return &h, h.report.Findings
}

// unanswered is the finding of a check that has not ended.
func (h *host) unanswered(name string) []checkup.Finding {
	r := checkup.Report{Check: name}
	at, _ := h.at.Load().(string)
	if at == "" {
		at = h.Conf
	}
	r.Fail("see whether it answers: timeout 5 ls -ld "+checkup.Quote(at)+"; if not, mount its file system again",
		"cannot check: %s does not answer", at)
	return r.Findings
}

// examines reports whether a check that has found nothing has looked at anything.
func (c check) examines(h *host) bool {
	switch c.name {
	case "supervisord":
		return true
	case "running":
		return len(h.bridges) > 0 && h.hasAsked
	}
	return len(h.bridges) > 0
}

// prepare reads the configuration.
func (h *host) prepare() {
	h.machine = h.Machine()
	if h.Conf == "" {
		h.Conf = UsualConf()
	}
	h.fix.conf = h.Conf
	if h.Conf == "" {
		if !h.OnlyWithSection {
			h.report.Fail(h.nameConf(), "none of %s is there", strings.Join(usualConfs, ", "))
		}
		return
	}

	h.looksAt(h.Conf)
	conf, err := h.read()
	if err != nil {
		h.report.Fail("correct that line, then run: "+h.fix.ctl("update"),
			"supervisord refuses the whole configuration: %v", err)
		return
	}
	h.conf = conf
	h.daemon = daemons.OfConf(conf)
	h.fix.pid = h.daemon.PID
	h.sections = listeners.Reader{Conf: conf, Daemon: h.daemon, ReadFlags: h.ReadFlags}
	h.bridges = h.sections.Find()
	if h.OnlyWithSection && len(h.bridges) == 0 {
		return
	}

	checkValues(h)
	h.report.OK("%s: %d sections, %d of them of the bridge", h.Conf, len(conf.Sections), len(h.bridges))
}

// read reads the configuration with the variables of the supervisord that runs with it, if
// one does: %(ENV_x)s are its own.
func (h *host) read() (*supervisordconf.Configuration, error) {
	for _, d := range h.machine.Daemons {
		if isSameFile(d.Conf, h.Conf) {
			return supervisordconf.ReadAs(h.Conf, d.PID)
		}
	}
	return supervisordconf.Read(h.Conf)
}

// nameConf says how to name a configuration that is elsewhere.
func (h *host) nameConf() string {
	name := "FILE"
	for _, d := range h.machine.Daemons {
		if d.Conf != "" {
			name = checkup.Quote(d.Conf)
			break
		}
	}
	return "name it: supernats-bridge doctor --supervisord-conf " + name
}

// looksAt notes what is looked at next.
func (h *host) looksAt(path string) string {
	h.at.Store(path)
	return path
}

// isBridge reports whether a section runs a bridge.
func (h *host) isBridge(s *supervisordconf.Section) bool {
	return slices.ContainsFunc(h.bridges, func(b *listeners.Bridge) bool { return b.Section == s })
}

func isSameFile(a, b string) bool {
	if a == "" {
		return false
	}
	x, err := os.Stat(a)
	y, otherErr := os.Stat(b)
	return err == nil && otherErr == nil && os.SameFile(x, y)
}

// report collects the findings of a check.
type report struct{ checkup.Report }

// addAt adds a finding about an option of a section, which may be nil.
func (r *report) addAt(status checkup.Status, s *supervisordconf.Section, option, fix, format string, args ...any) {
	f := checkup.Finding{Status: status, Fix: fix, Message: fmt.Sprintf(format, args...)}
	if s != nil {
		place, _ := s.Place(option)
		f.File, f.Line, f.Section = place.File, place.Line, s.Name
		f.Message = fmt.Sprintf("%v [%s]: %s", place, s.Name, f.Message)
	}
	r.Add(f)
}

func (r *report) warn(s *supervisordconf.Section, option, fix, format string, args ...any) {
	r.addAt(checkup.Warn, s, option, fix, format, args...)
}

func (r *report) fail(s *supervisordconf.Section, option, fix, format string, args ...any) {
	r.addAt(checkup.Fail, s, option, fix, format, args...)
}
