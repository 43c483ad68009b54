package stream

import (
	"slices"
	"strings"
)

// MissingSubjects returns those that a stream should store and does not.
func MissingSubjects(want, have []string) (missing []string) {
	for _, subject := range want {
		if !isCovered(subject, have) {
			missing = append(missing, subject)
		}
	}
	return missing
}

// MergeSubjects returns all subjects that a stream stores when it stores more. The server
// refuses two of which one covers the other.
func MergeSubjects(have, more []string) []string {
	merged := slices.DeleteFunc(slices.Clone(have), func(s string) bool { return isCovered(s, more) })
	return append(merged, more...)
}

// EditSubjects is the command that has a stream store more.
func EditSubjects(name string, have, more []string) string {
	return "nats stream edit " + name + " --subjects='" + strings.Join(MergeSubjects(have, more), ",") + "'"
}

func isCovered(subject string, by []string) bool {
	return slices.ContainsFunc(by, func(wide string) bool { return covers(wide, subject) })
}

// covers reports whether one subject stands for all that another one does.
func covers(wide, narrow string) bool {
	tokens := strings.Split(narrow, ".")
	for i, w := range strings.Split(wide, ".") {
		switch {
		case i == len(tokens):
			return false
		case w == ">":
			return true
		case tokens[i] == ">", w != "*" && w != tokens[i]:
			return false
		}
	}
	return strings.Count(wide, ".") == len(tokens)-1
}
