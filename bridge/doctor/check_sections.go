package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"supernats/bridge/listeners"
	"supernats/bridge/section"
	"supernats/bridge/supervisordconf"
	"supernats/schema/checkup"
)

// checkSections checks the sections that run a bridge.
func checkSections(_ context.Context, h *host) {
	if len(h.bridges) == 0 {
		h.report.fail(nil, "", h.confCommand(), "%s has no section that runs supernats-bridge: nothing is published%s",
			h.Conf, h.leftOut())
		return
	}

	for _, b := range h.bridges {
		for _, p := range section.Problems(h.conf, b.Pool) {
			if p.Option == "events" {
				continue // checkEvents
			}
			h.report.warn(b.Section, p.Option, h.fix.set(b.Section, p.Option, p.Value), "%s", p.Text)
		}
		checkTwice(h, b.Section)
		checkRestarts(h, b)
		checkStops(h, b)
		if enabled, _ := b.Bool("stderr_events_enabled", false); enabled {
			h.report.warn(b.Section, "stderr_events_enabled", h.fix.set(b.Section, "stderr_events_enabled", "false"),
				"stderr_events_enabled is %s: each line of the bridge's log is an event for the bridge",
				b.Options["stderr_events_enabled"])
		}
	}
	checkOrder(h)
	checkNames(h)
}

// confCommand puts the sections where supervisord reads them.
func (h *host) confCommand() string {
	file := h.Conf
	_, patterns := h.included()
	for _, pattern := range patterns {
		if name := filepath.Base(pattern); strings.HasPrefix(name, "*") {
			file = filepath.Join(filepath.Dir(pattern), "supernats"+strings.TrimPrefix(name, "*"))
			break
		}
	}
	return "supernats-bridge conf >> " + checkup.Quote(file) + " && " + h.fix.apply(nil)
}

// included is what [include] files= says, and the patterns of files in it.
func (h *host) included() (value string, patterns []string) {
	if include := h.conf.Section("include"); include != nil {
		value, _ = include.Value("files", "")
	}
	for pattern := range strings.FieldsSeq(value) {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(h.Conf), pattern)
		}
		patterns = append(patterns, pattern)
	}
	return value, patterns
}

// leftOut names files beside those that are included which have such a section.
func (h *host) leftOut() string {
	value, patterns := h.included()
	for _, pattern := range patterns {
		files, _ := filepath.Glob(filepath.Join(filepath.Dir(pattern), "*"))
		for _, file := range files {
			if matched, _ := filepath.Match(pattern, file); !matched && mentionsBridge(file) {
				return fmt.Sprintf(" (%s has one, and [include] files=%s does not include it)", file, value)
			}
		}
	}
	return ""
}

// checkTwice finds a section that stands in two places, which supervisord reads as one.
func checkTwice(h *host, s *supervisordconf.Section) {
	if len(s.Places) > 1 {
		last := s.Places[len(s.Places)-1]
		h.report.warn(s, "", fmt.Sprintf("remove the section at %v or give it another name, then run: %s",
			last, h.fix.apply(s)),
			"it stands at %v too: supervisord reads both as one, and what comes last wins", last)
	}
}

// checkRestarts checks that supervisord starts the bridge, and starts it again.
func checkRestarts(h *host, b *listeners.Bridge) {
	if on, _ := b.Bool("autorestart", false); !on {
		v, _ := b.ProcessValue("autorestart", "unexpected")
		h.report.warn(b.Section, "autorestart", h.fix.set(b.Section, "autorestart", "true"),
			"autorestart is %s: after an exit that counts as expected nobody listens any more", v)
	}
	if on, known := b.Bool("autostart", true); known && !on && !b.IsForOutput() {
		h.report.warn(b.Section, "autostart", h.fix.set(b.Section, "autostart", "true"),
			"autostart is %s: after a start of supervisord nobody listens", b.Options["autostart"])
	}
	if n, _ := b.Int("startretries", 3); n < 1 {
		h.report.warn(b.Section, "startretries", h.fix.set(b.Section, "startretries", "3"),
			"startretries is %d: one start that fails is FATAL for good", n)
	}
}

// checkStops checks that the bridge may end in order.
func checkStops(h *host, b *listeners.Bridge) {
	stopwaitsecs, _ := b.Int("stopwaitsecs", 10)
	wait := time.Duration(stopwaitsecs) * time.Second
	if drain := time.Duration(b.Flags.Drain); b.FlagsErr == nil && wait <= drain {
		seconds := int(drain.Seconds()) + 5
		h.report.warn(b.Section, "stopwaitsecs", h.fix.set(b.Section, "stopwaitsecs", fmt.Sprint(seconds)),
			"stopwaitsecs is %d and --drain %v: supervisord kills the bridge while it publishes",
			int(wait.Seconds()), drain)
	}
	signal, _ := b.ProcessValue("stopsignal", "TERM")
	name := strings.TrimPrefix(strings.ToUpper(signal), "SIG")
	if !slices.Contains([]string{"TERM", "INT", "15", "2"}, name) {
		h.report.warn(b.Section, "stopsignal", h.fix.set(b.Section, "stopsignal", "TERM"),
			"stopsignal is %s: the bridge ends at once, without publishing what it has", signal)
	}
}

// checkOrder finds what supervisord starts before the bridge, and stops after it.
func checkOrder(h *host) {
	for _, b := range h.bridges {
		if b.IsForOutput() {
			continue
		}
		lowest, first := 0, ""
		own, _ := b.Int("priority", -1)
		for _, s := range h.conf.Sections {
			kind, name, _ := strings.Cut(s.Name, ":")
			if kind != "program" && kind != "group" && kind != "fcgi-program" {
				continue
			}
			if p, _ := s.Int("priority", 999); p <= own && (first == "" || p < lowest) {
				lowest, first = p, name
			}
		}
		if first != "" {
			h.report.warn(b.Section, "priority", h.fix.set(b.Section, "priority", fmt.Sprint(lowest-17)),
				"priority is %d, and %s has %d: it is stopped after the bridge, so its last events are lost",
				own, first, lowest)
		}
	}
}

// checkNames finds sections that publish the same events under two host names.
func checkNames(h *host) {
	for i, b := range h.bridges {
		for _, other := range h.bridges[:i] {
			if b.FlagsErr != nil || other.FlagsErr != nil || b.Flags.Host == other.Flags.Host {
				continue
			}
			if name := listeners.Shared(b, other); name != "" {
				h.report.warn(b.Section, "command",
					"give both commands the same --host, then run: "+h.fix.apply(b.Section),
					"it publishes %s as host %q, and [%s] as host %q: each event and each alert comes twice",
					name, b.Flags.Host, other.Name, other.Flags.Host)
			}
		}
	}
}
