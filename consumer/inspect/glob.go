package inspect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"supernats/consumer"
	"supernats/consumer/rules"
	"supernats/schema"
)

// GlobHint says what may be wrong with a glob that matches none of the known names; it
// returns "" if the glob matches one or nothing is known. label is where the glob stands,
// flag what it chooses: host, group, process or rule.
func GlobHint(label, flag, glob string, known map[string]bool) string {
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
	switch meant := MeantGlob(glob, names); {
	case meant != "" && LooksLikeRegexp(glob):
		hint += fmt.Sprintf("; it looks like a regular expression, did you mean the glob %q?", meant)
	case LooksLikeRegexp(glob):
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

// regexpSign matches what regular expressions have, and names and globs hardly ever do.
var regexpSign = regexp.MustCompile(`^[=!]?~|^\^|\$$|\.\+|\\[.dwsDWSb]|\([^)]*\)|\]\+|\|`)

// IsRegexp reports whether a text cannot have been meant as a glob.
func IsRegexp(s string) bool { return regexpSign.MatchString(s) }

// LooksLikeRegexp reports whether a glob that matches nothing may have been meant as a
// regular expression. One that matches something may be a glob of names with dots: web1.*.
func LooksLikeRegexp(s string) bool {
	return IsRegexp(s) || strings.Contains(s, ".*") || strings.Contains(s, ".?")
}

// AsGlob writes a regular expression as a glob, as far as that is possible.
func AsGlob(s string) string {
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

// MeantGlob returns the name, or the glob, that was meant, "" if that is not plain.
func MeantGlob(glob string, names []string) string {
	// A regular expression: in Alertmanager it is anchored, elsewhere it may match within
	// the name.
	for _, try := range []string{AsGlob(glob), "*" + AsGlob(glob) + "*"} {
		valid := (consumer.Filter{Hosts: []string{try}}).Check() == nil
		matches := func(name string) bool { return schema.MatchGlob(try, name) }
		if valid && LooksLikeRegexp(glob) && slices.ContainsFunc(names, matches) {
			return try
		}
	}

	// Another case, the beginning of names (web1 for web1.example.com, api for api_00), or
	// a misspelling.
	for _, n := range names {
		if schema.MatchGlob(strings.ToLower(glob), strings.ToLower(n)) {
			return n
		}
	}
	for _, n := range names {
		if strings.HasPrefix(n, glob+".") || strings.HasPrefix(n, glob+"_") {
			return glob + "*"
		}
	}
	return rules.Nearest(glob, names)
}

// CheckEvents refuses names that no event has: with one, nothing would be found, as if
// nothing had happened. A glob may be for names that are not known here.
func CheckEvents(events []string) error {
	known := append(schema.Names(), schema.Families()...)
	for _, name := range events {
		if strings.HasPrefix(name, schema.TypeBridgePrefix) { // what alerts may be about
			continue
		}
		isGlob := schema.HasGlobSigns(name)
		matches := slices.ContainsFunc(known, func(k string) bool {
			return k == name || isGlob && schema.MatchGlob(name, k)
		})
		if matches || isGlob && !LooksLikeRegexp(name) {
			continue
		}

		if meant := MeantGlob(name, known); meant != "" {
			return fmt.Errorf("invalid name %q; did you mean %s?", name, meant)
		}
		return fmt.Errorf("invalid name %q: want %s, or a glob of names", name, strings.Join(known, ", "))
	}
	return nil
}
