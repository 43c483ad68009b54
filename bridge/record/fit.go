package record

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"supernats/schema"
	"supernats/schema/codec"
)

// fitEvent makes messages of an event that is too large for one; m is its whole message.
// The first result uses its memory.
func (c *Encoder) fitEvent(m *nats.Msg, e *schema.Event, at time.Time, limit int) ([]*nats.Msg, error) {
	ttl := c.TTL.Of(e.Event)
	hasData := e.Data != nil || len(e.DataBase64) > 0
	// What is not data: the envelope, names, headers, and room for the part's own numbers,
	// which the whole event did not have.
	besideData := func() int {
		n := messageSize(m)
		if hasData {
			n += partRoom + minShare - jsonData(e)
		}
		return n
	}

	for _, shorten := range []func(e *schema.Event, over int){shortenLog, shortenTexts, dropExtra} {
		over := besideData() - limit
		if over <= 0 {
			break
		}
		small := *e
		shorten(&small, over)
		e = &small
		c.writeEvent(m, e, at, ttl)
	}
	rest := besideData()
	if rest > limit {
		return nil, errTooLarge("event "+schema.EventID(e.Host, e.Boot, e.Serial), rest, limit)
	}
	if messageSize(m) <= limit {
		return []*nats.Msg{m}, nil
	}

	var msgs []*nats.Msg
	for _, part := range codec.Split(e, limit-rest+minShare) {
		m := new(nats.Msg)
		c.writeEvent(m, part, at, ttl)
		msgs = append(msgs, m)
	}
	return msgs, nil
}

// shortenLog cuts so much of the log tails that the event is smaller by over, or
// drops them. The shorter one is cut last.
func shortenLog(e *schema.Event, over int) {
	if e.Log == nil {
		return
	}

	// What each of the two may take.
	out, errs := jsonSize(e.Log.Stdout), jsonSize(e.Log.Stderr)
	room := max(0, out+errs-over)
	if out < errs {
		out = min(out, room/2)
		errs = room - out
	} else {
		errs = min(errs, room/2)
		out = room - errs
	}

	log := schema.Log{Stdout: lastLines(e.Log.Stdout, out), Stderr: lastLines(e.Log.Stderr, errs)}
	e.Log = &log
	if log == (schema.Log{}) {
		e.Log = nil
	}
}

// lastLines returns the end of a text that takes no more than size bytes in JSON:
// whole lines, where there is one.
func lastLines(s string, size int) string {
	if jsonSize(s) <= size {
		return s
	}

	start, n := len(s), len(`""`)
	for start > 0 {
		_, w := utf8.DecodeLastRuneInString(s[:start])
		if n += jsonSize(s[start-w:start]) - len(`""`); n > size {
			break
		}
		start -= w
	}

	end := s[start:]
	if i := strings.IndexByte(end, '\n'); i >= 0 && i < len(end)-1 && start > 0 && s[start-1] != '\n' {
		end = end[i+1:]
	}
	return end
}

// shortenTexts cuts the texts of supervisord or a program beside the event's data.
func shortenTexts(e *schema.Event, _ int) {
	if e.Exit != nil {
		exit := *e.Exit
		exit.SpawnErr = firstBytes(exit.SpawnErr, minText)
		if exit.OOM != nil {
			memory := *exit.OOM
			memory.Cgroup = firstBytes(memory.Cgroup, minText)
			exit.OOM = &memory
		}
		e.Exit = &exit
	}

	extra := make(map[string]string, len(e.Extra))
	for k, v := range e.Extra {
		extra[k] = firstBytes(v, minText)
	}
	e.Extra = extra
}

func dropExtra(e *schema.Event, _ int) { e.Extra = nil }

// firstBytes is the beginning of a text of n bytes at most, with a sign that there was more.
func firstBytes(s string, n int) string {
	const more = "…"
	if len(s) <= n {
		return s
	}
	n -= len(more)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}

// jsonSize is the length of a text in JSON.
func jsonSize(s string) int {
	b, _ := schema.Marshal(s) // strings always encode
	return len(b)
}

// jsonData is the length of the event's data in its JSON.
func jsonData(e *schema.Event) int {
	var v any = e.DataBase64
	if e.Data != nil {
		v = *e.Data
	}
	b, _ := schema.Marshal(v) // strings and bytes always encode
	return len(b)
}
