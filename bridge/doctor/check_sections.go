package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"supernats/bridge/section"
	"supernats/bridge/supervisordconf"
	"supernats/schema"
)

// checkSections checks the sections that run a bridge.
func checkSections(_ context.Context, h *host) {
	if len(h.bridges) == 0 {
		h.report.fail(nil, "", h.confCommand(), "%s has no section that runs supernats-bridge: nothing is published%s",
			h.Conf, h.leftOut())
		return
	}

	for _, b := range h.bridges {
		for _, p := range section.Problems(h.conf, b.pool) {
			if p.Option == "events" {
				continue // checkEvents
			}
			h.report.warn(b.Section, p.Option, h.fix.set(b.Section, p.Option, p.Value), "%s", p.Text)
		}
		h.checkTwice(b)
		h.checkRestarts(b)
		h.checkStops(b)
		if v, _ := b.ProcessValue("stderr_events_enabled", "false"); isTrue(v) {
			h.report.warn(b.Section, "stderr_events_enabled", h.fix.set(b.Section, "stderr_events_enabled", "false"),
				"stderr_events_enabled is %s: each line of the bridge's log is an event for the bridge", v)
		}
	}
	h.checkOrder()
	h.checkNames()
}

// confCommand puts the sections where supervisord reads them.
func (h *host) confCommand() string {
	file := h.Conf
	if include := h.conf.Section("include"); include != nil {
		patterns, _ := include.Value("files", "")
		for pattern := range strings.FieldsSeq(patterns) {
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(h.Conf), pattern)
			}
			if name := filepath.Base(pattern); strings.HasPrefix(name, "*") {
				file = filepath.Join(filepath.Dir(pattern), "supernats"+strings.TrimPrefix(name, "*"))
				break
			}
		}
	}
	return "supernats-bridge conf >> " + quote(file) + " && " + h.fix.apply(nil)
}

// leftOut names files beside those that are included which have such a section.
func (h *host) leftOut() string {
	include := h.conf.Section("include")
	if include == nil {
		return ""
	}
	patterns, _ := include.Value("files", "")
	for pattern := range strings.FieldsSeq(patterns) {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(h.Conf), pattern)
		}
		files, _ := filepath.Glob(filepath.Join(filepath.Dir(pattern), "*"))
		for _, file := range files {
			if matched, _ := filepath.Match(pattern, file); !matched && mentionsBridge(file) {
				return fmt.Sprintf(" (%s has one, and [include] files=%s does not include it)", file, patterns)
			}
		}
	}
	return ""
}

// checkTwice finds a section that stands in two places, which supervisord reads as one.
func (h *host) checkTwice(b *bridgeSection) {
	if len(b.Places) > 1 {
		last := b.Places[len(b.Places)-1]
		h.report.warn(b.Section, "", fmt.Sprintf("remove the section at %v or give it another name, then run: %s",
			last, h.fix.apply(b.Section)),
			"it stands at %v too: supervisord reads both as one, and what comes last wins", last)
	}
}

// checkRestarts checks that supervisord starts the bridge, and starts it again.
func (h *host) checkRestarts(b *bridgeSection) {
	if v, _ := b.ProcessValue("autorestart", "unexpected"); !isTrue(v) {
		h.report.warn(b.Section, "autorestart", h.fix.set(b.Section, "autorestart", "true"),
			"autorestart is %s: after an exit that counts as expected nobody listens any more", v)
	}
	if v, _ := b.ProcessValue("autostart", "true"); !isTrue(v) && !b.isForOutput() {
		h.report.warn(b.Section, "autostart", h.fix.set(b.Section, "autostart", "true"),
			"autostart is %s: after a start of supervisord nobody listens", v)
	}
	if n := intOf(b.Section, "startretries", 3); n < 1 {
		h.report.warn(b.Section, "startretries", h.fix.set(b.Section, "startretries", "3"),
			"startretries is %d: one start that fails is FATAL for good", n)
	}
}

// checkStops checks that the bridge may end in order.
func (h *host) checkStops(b *bridgeSection) {
	wait := time.Duration(intOf(b.Section, "stopwaitsecs", 10)) * time.Second
	if drain := time.Duration(b.flags.Drain); b.flagsErr == nil && wait <= drain {
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
func (h *host) checkOrder() {
	for _, b := range h.bridges {
		if b.isForOutput() {
			continue
		}
		own, lowest, first := intOf(b.Section, "priority", -1), 0, ""
		for _, s := range h.conf.Sections {
			kind, name, _ := strings.Cut(s.Name, ":")
			if kind != "program" && kind != "group" && kind != "fcgi-program" {
				continue
			}
			if p := intOf(s, "priority", 999); p <= own && (first == "" || p < lowest) {
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
func (h *host) checkNames() {
	for i, b := range h.bridges {
		for _, other := range h.bridges[:i] {
			if b.flagsErr != nil || other.flagsErr != nil || b.flags.Host == other.flags.Host {
				continue
			}
			if name := bothPublish(b, other); name != "" {
				h.report.warn(b.Section, "command",
					"give both commands the same --host, then run: "+h.fix.apply(b.Section),
					"it publishes %s as host %q, and [%s] as host %q: each event and each alert comes twice",
					name, b.flags.Host, other.Name, other.flags.Host)
			}
		}
	}
}

// bothPublish returns an event that two sections publish, "" if there is none.
func bothPublish(a, b *bridgeSection) string {
	publishes := func(s *bridgeSection, name string) bool {
		return s.listensTo(name) && !slices.ContainsFunc(s.flags.Skip, func(skip string) bool {
			return schema.Is(name, strings.ToUpper(skip))
		})
	}
	for _, name := range schema.Names() {
		if publishes(a, name) && publishes(b, name) {
			return name
		}
	}
	return ""
}

// checkPrograms finds programs whose crashes count as expected.
func checkPrograms(_ context.Context, h *host) {
	for _, s := range h.conf.Sections {
		if kind, _, _ := strings.Cut(s.Name, ":"); kind != "program" && kind != "fcgi-program" {
			continue
		}
		h.checkExitCodes(s)
	}
}

// checkExitCodes reports a program that says of the exit code of most errors, or of many
// codes, that it is expected.
func (h *host) checkExitCodes(s *supervisordconf.Section) {
	const many = 10
	text, err := s.ProcessValue("exitcodes", "0")
	if err != nil {
		return
	}
	codes := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if !slices.Contains(codes, "1") && len(codes) < many {
		return
	}
	shown := text
	if len(codes) > many {
		shown = fmt.Sprintf("%s,… (%d codes)", strings.Join(codes[:3], ","), len(codes))
	}
	h.report.warn(s, "exitcodes", h.fix.set(s, "exitcodes", "0"),
		"exitcodes is %s: a crash with one of these codes counts as expected, and nobody is notified", shown)
}
