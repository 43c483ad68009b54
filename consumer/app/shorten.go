package app

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"supernats/consumer/rules"
	"supernats/schema"
)

// alertHeaders is more than the headers of a notification take.
const alertHeaders = 1 << 10

// write makes a notification's JSON, no larger than the server and the stream take
// it. One that lists many crashes loses of their logs first, then details of the
// events, then the oldest events: its count stays, and `supernats replay` has them.
func (v *events) write(n *rules.Notification) ([]byte, error) {
	limit := int(v.js.Conn().MaxPayload())
	if v.maxAlert > 0 {
		limit = min(limit, v.maxAlert)
	}
	limit -= alertHeaders + len(n.ID)

	a := *n.Alert
	a.Events = v.line.sequences(slices.Clone(a.Events))
	write := func() ([]byte, error) {
		json, err := schema.Marshal(a.Envelope(n.ID, n.Type, n.At))
		if err != nil {
			return nil, fmt.Errorf("write notification %s: %w", n.ID, err)
		}
		return json, nil
	}
	json, err := write()
	for kept := 4096; err == nil && len(json) > limit && kept > 0; kept /= 4 {
		for i := range a.Events {
			a.Events[i].Log = shorterLog(a.Events[i].Log, kept)
		}
		json, err = write()
	}
	if err != nil || len(json) <= limit {
		return json, err
	}

	for i := range a.Events {
		e := &a.Events[i]
		e.Log, e.Server = nil, ""
		if e.Exit != nil && len(e.Exit.SpawnErr) > 200 {
			exit := *e.Exit
			exit.SpawnErr = strings.ToValidUTF8(exit.SpawnErr[:200], "") + "…"
			e.Exit = &exit
		}
	}
	for {
		if json, err = write(); err != nil || len(json) <= limit || len(a.Events) == 0 {
			return json, err
		}
		a.Events = a.Events[(len(a.Events)+7)/8:]
	}
}

// shorterLog keeps the last bytes of a log; nil if that is nothing.
func shorterLog(log *schema.Log, kept int) *schema.Log {
	if log == nil {
		return nil
	}
	short := schema.Log{Stdout: lastBytes(log.Stdout, kept), Stderr: lastBytes(log.Stderr, kept)}
	if short == (schema.Log{}) {
		return nil
	}
	return &short
}

// lastBytes is the end of a text: whole lines, where there is one.
func lastBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	end := s[len(s)-n:]
	for end != "" && !utf8.RuneStart(end[0]) {
		end = end[1:]
	}
	if _, lines, ok := strings.Cut(end, "\n"); ok && lines != "" {
		return lines
	}
	return end
}
