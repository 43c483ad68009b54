package fit

import (
	"maps"
	"strings"
	"unicode/utf8"

	"supernats/schema"
)

// shortText is how many bytes are kept of a text for which there is no room.
const shortText = 200

// Text returns the beginning of s, of at most limit bytes. Where something is cut, it
// ends with an ellipsis.
func Text(s string, limit int) string {
	const ellipsis = "…"
	switch {
	case len(s) <= limit:
		return s
	case limit <= len(ellipsis):
		return ""
	}
	return strings.ToValidUTF8(s[:limit-len(ellipsis)], "") + ellipsis
}

// shortenTexts returns texts with at most limit bytes together, of which each gets an
// equal share. A text that becomes empty is left out.
func shortenTexts(texts map[string]string, limit int) map[string]string {
	size := 0
	for name, text := range texts {
		size += len(name) + len(text)
	}
	if size <= limit {
		return texts
	}

	short := maps.Clone(texts)
	for name, text := range short {
		text = Text(text, limit/len(texts)-len(name))
		if text == "" {
			delete(short, name)
		} else {
			short[name] = text
		}
	}
	return short
}

// shortenEvent drops from an event what is not needed to know what happened, and keeps
// at most limit bytes of each text.
func shortenEvent(e *schema.AlertEvent, limit int) {
	e.Log, e.Last, e.Server = nil, nil, ""
	e.Text = Text(e.Text, limit)
	e.Fix = Text(e.Fix, limit)
	e.Cause = Text(e.Cause, limit)
	e.Exit = shortenExit(e.Exit, limit)
}

// shortenExit returns a copy of x with at most limit bytes of each text. What says why
// the process died is kept.
func shortenExit(x *schema.Exit, limit int) *schema.Exit {
	if x == nil {
		return nil
	}
	least := max(limit, 10) // of a signal and of a cgroup

	short := *x
	short.SpawnErr = Text(x.SpawnErr, limit)
	short.Signal = Text(x.Signal, least)
	short.Source = Text(x.Source, limit)
	if x.OOM != nil {
		oom := *x.OOM
		oom.Cgroup = Text(oom.Cgroup, least)
		short.OOM = &oom
	}
	return &short
}

// shortenLog returns the last bytes of both logs, at most limit of each; nil if nothing
// is left.
func shortenLog(log *schema.Log, limit int) *schema.Log {
	if log == nil {
		return nil
	}
	short := schema.Log{Stdout: lastBytes(log.Stdout, limit), Stderr: lastBytes(log.Stderr, limit)}
	if short == (schema.Log{}) {
		return nil
	}
	return &short
}

// lastBytes returns the end of s, of at most limit bytes: whole lines, where there is
// one.
func lastBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}

	end := s[len(s)-limit:]
	for end != "" && !utf8.RuneStart(end[0]) {
		end = end[1:]
	}
	if _, lines, ok := strings.Cut(end, "\n"); ok && lines != "" {
		return lines
	}
	return end
}
