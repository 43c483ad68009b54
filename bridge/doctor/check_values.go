package doctor

import (
	"maps"
	"slices"
	"strings"

	"supernats/bridge/listeners"
	"supernats/bridge/supervisordconf"
)

// refusal is why a value matters that supervisord does not take.
const refusal = "supervisord refuses the whole configuration"

// checkValues finds what supervisord refuses (options.py _processes_from_section).
func checkValues(h *host) {
	for _, s := range h.conf.Sections {
		kind, _, _ := strings.Cut(s.Name, ":")
		switch kind {
		case "supervisord", "unix_http_server", "inet_http_server":
			checkExpansions(h, s)
			continue
		case "program", "eventlistener", "fcgi-program":
		default:
			continue
		}
		checkExpansions(h, s)
		checkDirectories(h, s)
		if _, err := h.sections.AccountFor(s); err != nil {
			h.report.fail(s, "user", h.fix.set(s, "user", "NAME")+", with the name of a user of this machine",
				"user=%s: %v: %s", s.Options["user"], err, refusal)
		}
	}
	for _, b := range h.bridges {
		checkListener(h, b)
	}
	checkInclude(h)
}

// checkExpansions finds values with names or signs that cannot be expanded.
func checkExpansions(h *host, s *supervisordconf.Section) {
	for _, option := range slices.Sorted(maps.Keys(s.Options)) {
		if option == "environment" {
			continue // below
		}
		if _, err := s.ProcessValue(option, ""); err != nil {
			value := strings.ReplaceAll(strings.ReplaceAll(s.Options[option], "%%", "%"), "%", "%%")
			h.report.fail(s, option, h.fix.set(s, option, value)+" (%% is a percent sign)",
				"%s= cannot be expanded: %s", option, refusal)
		}
	}

	if _, err := s.Environment(); err != nil {
		h.report.fail(s, "environment", h.fix.set(s, "environment", quotePairs(s.Options["environment"])),
			"environment= cannot be read: %v: %s", err, refusal)
	}
}

// quotePairs puts each value of an environment= into quotation marks, where a comma that is
// not followed by a name belongs to the value.
func quotePairs(text string) string {
	var pairs []string
	for part := range strings.SplitSeq(strings.ReplaceAll(text, `"`, ""), ",") {
		name, _, ok := strings.Cut(part, "=")
		if len(pairs) > 0 && (!ok || strings.ContainsAny(name, ":/@.")) {
			pairs[len(pairs)-1] += "," + part
			continue
		}
		pairs = append(pairs, strings.TrimSpace(part))
	}
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		pairs[i] = name + `="` + value + `"`
	}
	return strings.Join(pairs, ",")
}

// checkListener finds what supervisord refuses in a section of the bridge
// (process_groups_from_parser).
func checkListener(h *host, b *listeners.Bridge) {
	if len(b.Events) == 0 {
		h.report.fail(b.Section, "events", h.setEvents(b), "it has no events=: %s", refusal)
	}
	for _, name := range b.Events {
		if !listeners.IsEvent(name) {
			h.report.fail(b.Section, "events", h.setEvents(b),
				"events= has %s, which is no event of supervisor: %s", name, refusal)
		}
	}
	if redirects, _ := b.Bool("redirect_stderr", false); redirects {
		h.report.fail(b.Section, "redirect_stderr", h.fix.set(b.Section, "redirect_stderr", "false"),
			"redirect_stderr is %s, which would mix the bridge's log into the protocol: %s",
			b.Options["redirect_stderr"], refusal)
	}
}
