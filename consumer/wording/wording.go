// Package wording has the words for people that mails, chats, pages and commands share:
// what an event means, why a process died, how long something lasted, what a process is
// called. It also makes text of others safe to show: names, logs and answers come from
// processes and servers, and may try to look like something else.
//
// Nothing here keeps anything or waits for anything. Every function returns text of
// bounded length, whatever it is given: the caller names the bound, or it is MaxName or
// MaxText.
package wording

import (
	"strconv"
	"strings"
)

const (
	// MaxName and MaxText bound names and texts of others in a line, in characters: a
	// hostile one must not push the rest out of sight.
	MaxName = 60
	MaxText = 300
)

// Count writes a number with what it counts: "1 event", "2 events".
func Count[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatUint(uint64(n), 10) + " " + many
}

// Join puts a separator between the texts that are not empty.
func Join(separator string, texts ...string) string {
	count, size, last := 0, 0, ""
	for _, s := range texts {
		if s != "" {
			count++
			size += len(separator) + len(s)
			last = s
		}
	}
	if count < 2 {
		return last
	}

	var b strings.Builder
	b.Grow(size)
	for _, s := range texts {
		if s == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(separator)
		}
		b.WriteString(s)
	}
	return b.String()
}

// ProcessName is a process as supervisorctl writes it: "api" for api:api. Of a group
// without a process it is the name of the group.
func ProcessName(group, process string) string {
	switch {
	case process == "" || process == group:
		return group
	case group == "":
		return process
	}
	return group + ":" + process
}
