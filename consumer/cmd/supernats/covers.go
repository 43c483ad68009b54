package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/rules"
	"supernats/schema"
	"supernats/schema/stream"
)

// covers says how much of what is known a silence is about.
type covers struct {
	Processes int `json:"processes"`
	// KnownProcesses and KnownHosts are how many there are.
	KnownProcesses int `json:"known_processes"`
	Hosts          int `json:"hosts"`
	KnownHosts     int `json:"known_hosts"`
	// Hints are what may be wrong with globs that match nothing.
	Hints []string `json:"hints,omitempty"`
}

// nothing reports whether there is something, and none of it is meant.
func (c *covers) nothing() bool {
	return c.KnownProcesses+c.KnownHosts > 0 && c.Processes+c.Hosts == 0
}

func (c *covers) String() string {
	s := fmt.Sprintf("matches %d of %s", c.Processes, processes(c.KnownProcesses))
	if c.Processes == 0 || c.Hosts == 0 {
		s += fmt.Sprintf(" and %d of %s", c.Hosts, counted(c.KnownHosts, "host"))
	}
	if c.nothing() {
		s += "; globs are meant, not regular expressions"
	}
	return s
}

// coverage looks at which processes and hosts a silence is about.
func coverage(ctx context.Context, js jetstream.JetStream, m *schema.Mute, rules namedRules) (*covers, error) {
	states, hosts, known, err := readKnown(ctx, js)
	if err != nil {
		return nil, err
	}

	c := &covers{KnownHosts: len(hosts), KnownProcesses: len(states)}
	for _, s := range states {
		if silences(m, &schema.Alert{Host: s.Host, Group: s.Group, Process: s.Process, Rule: rules.match(m.Rules)}) {
			c.Processes++
		}
	}
	for _, h := range hosts {
		if silences(m, &schema.Alert{Host: h.Host, Rule: rules.match(m.Rules)}) {
			c.Hosts++
		}
	}
	for _, name := range rules.names {
		known["rule"][name] = true
	}
	for _, f := range []struct {
		flag  string
		globs []string
	}{{"host", m.Hosts}, {"group", m.Groups}, {"process", m.Processes}, {"rule", m.Rules}} {
		for _, glob := range f.globs {
			if hint := hintOf("--"+f.flag, f.flag, glob, known[f.flag]); hint != "" {
				if f.flag == "rule" {
					hint += " (in " + rules.file + ")"
				}
				c.Hints = append(c.Hints, hint)
			}
		}
	}
	return c, nil
}

// knownNames are those of the fleet, by the flag that chooses them.
type knownNames map[string]map[string]bool

// readKnown reads the processes that there are, the hosts, and their names.
func readKnown(ctx context.Context, js jetstream.JetStream) ([]schema.ProcessRecord, []schema.HostRecord, knownNames, error) {
	states, err := readBucket(ctx, js, stream.StateBucket, func(s *schema.ProcessRecord) string { return schema.StateKey(s.Host, s.Group, s.Process) })
	if err != nil {
		return nil, nil, nil, err
	}
	states = slices.DeleteFunc(states, func(s schema.ProcessRecord) bool { return s.Gone != nil })
	hosts, err := readBucket(ctx, js, stream.HostsBucket, func(h *schema.HostRecord) string { return schema.Token(h.Host) })
	if err != nil {
		return nil, nil, nil, err
	}

	known := knownNames{"host": {}, "group": {}, "process": {}, "rule": {}}
	for _, s := range states {
		known["host"][s.Host], known["group"][s.Group], known["process"][s.Process] = true, true, true
	}
	for _, h := range hosts {
		known["host"][h.Host] = true
	}
	return states, hosts, known, nil
}

// namedRules are the rules of a configuration file, if there is one.
type namedRules struct {
	file  string
	names []string
}

// match returns the name of a rule that one of the globs matches. Without a file it is
// not known which rules there are, and every glob may match one.
func (r *namedRules) match(globs []string) string {
	for _, name := range r.names {
		if schema.MatchAny(globs, name) {
			return name
		}
	}
	if r.file != "" || len(globs) == 0 {
		return ""
	}
	return globs[0]
}

// hintOf says what may be wrong with a glob that matches none of the names. label is
// where the glob stands.
func hintOf(label, flag, glob string, known map[string]bool) string {
	names := make([]string, 0, len(known))
	for name := range known {
		if schema.MatchGlob(glob, name) {
			return ""
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)

	what := map[string]string{"process": "processes"}[flag]
	switch {
	case len(names) == 1:
		what = flag
	case what == "":
		what = flag + "s"
	}
	hint := fmt.Sprintf("%s %q matches none of %d %s", label, glob, len(names), what)
	switch meant := meantGlob(glob, names); {
	case meant != "" && looksLikeRegexp(glob):
		hint += fmt.Sprintf("; it looks like a regular expression, did you mean the glob %q?", meant)
	case looksLikeRegexp(glob):
		hint += "; it looks like a regular expression, and globs are meant: *, ?, [a-z] and {a,b}"
	case flag == "process" && strings.Contains(glob, ":"):
		group, process, _ := strings.Cut(glob, ":")
		hint += fmt.Sprintf("; did you mean --group %q --process %q?", group, process)
	case meant != "":
		hint += fmt.Sprintf("; did you mean %q?", meant)
	default:
		hint += ": " + strings.Join(names[:min(5, len(names))], ", ")
		if len(names) > 5 {
			hint += ", …"
		}
	}
	return hint
}

// regexpSign is what regular expressions have and names and globs hardly ever do.
var regexpSign = regexp.MustCompile(`^[=!]?~|^\^|\$$|\.\+|\\[.dwsDWSb]|\([^)]*\)|\]\+|\|`)

// looksLikeRegexp is for globs that match nothing: web1.* may be a glob of names with
// dots.
func looksLikeRegexp(s string) bool {
	return isRegexp(s) || strings.Contains(s, ".*") || strings.Contains(s, ".?")
}

// isRegexp reports whether a glob cannot have been meant to be one.
func isRegexp(s string) bool { return regexpSign.MatchString(s) }

// asGlob writes a regular expression as a glob, as far as that goes.
func asGlob(s string) string {
	s = strings.TrimLeft(s, "=!~^")
	s = strings.TrimSuffix(s, "$")
	s = strings.NewReplacer(
		".*", "*", ".+", "?*", `\.`, ".", `\d+`, "[0-9]*", `\d`, "[0-9]", `\w+`, "?*", `\w`, "?", "]+", "]*",
		"(?:", "{", "(", "{", ")", "}", "|", ",",
	).Replace(s)
	if strings.Contains(s, ",") && !strings.Contains(s, "{") {
		s = "{" + s + "}"
	}
	return s
}

// meantGlob returns the name, or the glob, that was meant if it is plain which.
func meantGlob(glob string, names []string) string {
	// Alertmanager's own matches stand at the beginning and the end, some people's
	// expressions do not.
	for _, try := range []string{asGlob(glob), "*" + asGlob(glob) + "*"} {
		valid := (consumer.Filter{Hosts: []string{try}}).Check() == nil
		if valid && looksLikeRegexp(glob) && slices.ContainsFunc(names, func(n string) bool { return schema.MatchGlob(try, n) }) {
			return try
		}
	}
	for _, n := range names {
		if schema.MatchGlob(strings.ToLower(glob), strings.ToLower(n)) {
			return n
		}
	}
	for _, n := range names { // web1 for web1.example.com, api for api_00
		if strings.HasPrefix(n, glob+".") || strings.HasPrefix(n, glob+"_") {
			return glob + "*"
		}
	}
	return rules.Nearest(glob, names)
}
