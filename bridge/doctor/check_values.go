package doctor

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"supernats/bridge/supervisordconf"
	"supernats/schema"
)

// refusal is why a value matters that supervisord does not take.
const refusal = "supervisord refuses the whole configuration"

// checkValues finds what supervisord refuses (options.py _processes_from_section).
func checkValues(h *host) {
	for _, s := range h.conf.Sections {
		kind, _, _ := strings.Cut(s.Name, ":")
		if !slices.Contains([]string{"program", "eventlistener", "fcgi-program"}, kind) {
			continue
		}
		h.checkExpansions(s)
		h.checkDirectories(s)
		if _, err := h.accountFor(s); err != nil {
			h.report.fail(s, "user", h.fix.set(s, "user", "NAME")+", with the name of a user of this machine",
				"user=%s: %v: %s", s.Options["user"], err, refusal)
		}
	}
	for _, b := range h.bridges {
		h.checkListener(b)
	}
}

// checkExpansions finds values with names or signs that cannot be expanded.
func (h *host) checkExpansions(s *supervisordconf.Section) {
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

// checkDirectories finds logs in directories that are not there (datatypes.py
// existing_dirpath).
func (h *host) checkDirectories(s *supervisordconf.Section) {
	for _, option := range []string{"stdout_logfile", "stderr_logfile"} {
		path, err := s.ProcessValue(option, "")
		if err != nil || !filepath.IsAbs(path) || option == "stdout_logfile" && h.isBridge(s) {
			continue // that of a bridge should not be there at all
		}
		dir := filepath.Dir(path)
		if info, err := os.Stat(dir); os.IsNotExist(err) || err == nil && !info.IsDir() {
			h.report.fail(s, option, "mkdir -p "+quote(dir)+" && "+h.fix.apply(s),
				"the directory of %s=%s does not exist: %s", option, path, refusal)
		}
	}
}

// checkListener finds what supervisord refuses in a section of the bridge
// (process_groups_from_parser).
func (h *host) checkListener(b *bridgeSection) {
	if len(b.events) == 0 {
		h.report.fail(b.Section, "events", h.setEvents(b), "it has no events=: %s", refusal)
	}
	for _, name := range b.events {
		if !isEvent(name) {
			h.report.fail(b.Section, "events", h.setEvents(b),
				"events= has %s, which is no event of supervisor: %s", name, refusal)
		}
	}
	if v, _ := b.ProcessValue("redirect_stderr", "false"); isTrue(v) {
		h.report.fail(b.Section, "redirect_stderr", h.fix.set(b.Section, "redirect_stderr", "false"),
			"redirect_stderr is %s, which would mix the bridge's log into the protocol: %s", v, refusal)
	}
}

// nearest is the family that a misspelt name most likely means: the one with the longest
// common beginning.
func nearest(name string) string {
	best, length := "EVENT", 0
	for _, family := range schema.Families() {
		n := 0
		for n < len(family) && n < len(name) && family[n] == name[n] {
			n++
		}
		if n > length {
			best, length = family, n
		}
	}
	return best
}

// isTrue is datatypes.py boolean.
func isTrue(v string) bool {
	return slices.Contains([]string{"yes", "y", "true", "on", "1"}, strings.ToLower(v))
}

// intOf is an option that is a number, the preset if it is none.
func intOf(s *supervisordconf.Section, option string, preset int) int {
	v, err := s.ProcessValue(option, "")
	var n int
	if _, scanErr := fmt.Sscan(v, &n); err != nil || scanErr != nil {
		return preset
	}
	return n
}
