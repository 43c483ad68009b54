package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"supernats/bridge/publish"
	"supernats/schema"
	"supernats/schema/stream"
)

// What is too large for one message is made smaller when it is published, since the
// limit is that of then. In this order:
//
//   - the process table is divided into parts,
//   - of an event the log tails are shortened, from their beginning, then the texts
//     beside its data, and its data is divided into parts,
//   - of a record of the bridge the longest texts and lists are shortened.
//
// Names, numbers and ids stay: what does not fit with those alone is not published,
// and reported.

const (
	// partRoom is more than `,"part":N,"parts":N` and two "/N" in the ids take.
	partRoom = 128
	minShare = 256
	// headerRoom is more than the headers of most messages take: their exact size
	// takes as long to find out as an event to be encoded.
	headerRoom = 4 << 10
	// minText is what is left of a text that is shortened.
	minText = 64
	// manyFields is more than an object has whose fields are not data themselves.
	manyFields = 16
)

// sentRoom is what the publisher adds: the time of sending, and what makes another
// message id of one that was taken.
const sentRoom = len(stream.HeaderSent) + len(": 2026-11-21T19:00:31.833512Z\r\n") + publish.AgainRoom

// messageSize is the size of a message as a server counts it.
func messageSize(m *nats.Msg) int {
	n := len("NATS/1.0\r\n\r\n") + sentRoom + len(m.Data)
	for name, values := range m.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

// tooLarge is the error of what does not become as small as it has to.
func tooLarge(what string, size, limit int) error {
	return fmt.Errorf("%w: %s needs %d bytes, more than the %d that are allowed (max_payload of the server, max_msg_size of the stream)",
		publish.ErrTooLarge, what, size, limit)
}

// fit makes messages of an event that is too large for one; m is its whole message.
// The first result uses its memory.
func (c *encoder) fit(m *nats.Msg, e *schema.Event, at time.Time, limit int) ([]*nats.Msg, error) {
	ttl := c.ttl.of(e.Event)
	data := e.Data != nil || len(e.DataBase64) > 0
	// What is not data: the envelope, names, headers, and room for the part's own
	// numbers, which the whole event did not have.
	beside := func() int {
		n := messageSize(m)
		if data {
			n += partRoom + minShare - jsonData(e)
		}
		return n
	}
	for _, shorten := range []func(e *schema.Event, over int){shortenLog, shortenTexts, dropExtra} {
		over := beside() - limit
		if over <= 0 {
			break
		}
		small := *e
		shorten(&small, over)
		e = &small
		c.write(m, e, at, ttl)
	}
	rest := beside()
	if rest > limit {
		return nil, tooLarge("event "+schema.EventID(e.Host, e.Boot, e.Serial), rest, limit)
	}
	if messageSize(m) <= limit {
		return []*nats.Msg{m}, nil
	}

	var msgs []*nats.Msg
	for _, part := range e.Split(limit - rest + minShare) {
		m := new(nats.Msg)
		c.write(m, part, at, ttl)
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

// shortenTexts cuts what supervisord or a program said beside the event's data.
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

// firstBytes is the beginning of a text, and a sign that there was more.
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

// divide makes the parts of a process table that is too large for one message. A
// row that is too large by itself loses its texts, and is left out if its names are
// too large alone.
func (c *encoder) divide(m *nats.Msg, limit int) ([]*nats.Msg, error) {
	ce, err := schema.Unmarshal[*schema.Snapshot](m.Data)
	if err != nil || ce.Data == nil {
		return nil, errors.Join(errRecord, err)
	}
	table := *ce.Data
	part := func(rows []schema.SnapshotProcess, n, of int) (*nats.Msg, error) {
		s := table
		s.Processes, s.Part, s.Parts = rows, n, of
		part := s.Envelope(ce.Time.Time)
		json, err := schema.Marshal(part)
		if err != nil {
			return nil, err
		}
		return message(m.Subject, part.ID, json, c.ttl[ttlSnapshot]), nil
	}
	empty, err := part(nil, len(table.Processes), len(table.Processes)) // numbers of no more digits
	if err != nil {
		return nil, err
	}
	room := limit - messageSize(empty)

	var parts [][]schema.SnapshotProcess
	var rows []schema.SnapshotProcess
	used, skipped := 0, 0
	for _, row := range table.Processes {
		size, err := fitRow(&row, room)
		if err != nil {
			return nil, err
		}
		if size > room {
			skipped++
			continue
		}
		if used+size > room {
			parts = append(parts, rows)
			rows, used = nil, 0
		}
		rows = append(rows, row)
		used += size
	}
	if parts = append(parts, rows); len(rows) == 0 && skipped > 0 {
		return nil, tooLarge("a process table", messageSize(empty)+minShare, limit)
	}

	msgs := make([]*nats.Msg, len(parts))
	for i, rows := range parts {
		n, of := i+1, len(parts)
		if of == 1 {
			n, of = 0, 0
		}
		if msgs[i], err = part(rows, n, of); err != nil {
			return nil, err
		}
	}
	if skipped > 0 {
		return msgs, fmt.Errorf("%w: %d processes are left out of a process table: their names are longer than the %d bytes that are allowed", publish.ErrPartly, skipped, limit)
	}
	return msgs, nil
}

// fitRow takes from a row of the process table what it can do without, until it has
// room, and returns its size with a comma.
func fitRow(row *schema.SnapshotProcess, room int) (int, error) {
	size := func() (int, error) {
		b, err := schema.Marshal(row)
		return len(b) + len(","), err
	}
	for _, text := range []*string{&row.Description, &row.SpawnErr, &row.StdoutLogfile, &row.StderrLogfile} {
		n, err := size()
		if err != nil || n <= room {
			return n, err
		}
		*text = firstBytes(*text, minText)
	}
	for _, text := range []*string{&row.StdoutLogfile, &row.StderrLogfile, &row.Description, &row.SpawnErr} {
		n, err := size()
		if err != nil || n <= room {
			return n, err
		}
		*text = ""
	}
	return size()
}

// kept are the fields of a record's data that are never shortened: who it is of,
// and what readers tell records apart by.
var kept = map[string]bool{
	"host": true, "server": true, "boot": true, "pool": true, "instance": true, "cause": true, "since": true,
	"event": true, "message_id": true, "bridge_version": true, "group": true, "process": true,
}

// shorten makes a record of the bridge as small as it has to be: the largest text
// loses half, the largest list its second half, until it fits. Readers ignore what
// is not there.
func shorten(m *nats.Msg, limit int) (*nats.Msg, error) {
	d := json.NewDecoder(bytes.NewReader(m.Data))
	d.UseNumber() // they stay as they are written
	var record map[string]any
	if err := d.Decode(&record); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	data, _ := record["data"].(map[string]any)
	small := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	for messageSize(small) > limit {
		halve := largest(data)
		if halve == nil {
			return nil, tooLarge("a record on "+m.Subject, messageSize(small), limit)
		}
		halve()
		var err error
		if small.Data, err = schema.Marshal(record); err != nil {
			return nil, err
		}
	}
	return small, nil
}

// largest returns what halves the largest text or list below an object, nil if there
// is none left.
func largest(of map[string]any) (halve func()) {
	most := 0
	better := func(size int) bool {
		if size <= most {
			return false
		}
		most = size
		return true
	}
	var look func(v any, set func(any))
	look = func(v any, set func(any)) {
		switch v := v.(type) {
		case string:
			if len(v) > minText && better(len(v)) {
				halve = func() { set(firstBytes(v, max(minText, len(v)/2))) }
			}
		case []any:
			b, _ := schema.Marshal(v)
			if len(v) > 1 && better(len(b)/2) {
				halve = func() { set(v[:len(v)/2]) }
			}
			for i := range v {
				look(v[i], func(with any) { v[i] = with })
			}
		case map[string]any:
			b, _ := schema.Marshal(v)
			if len(v) > manyFields && set != nil && better(len(b)/2) {
				halve = func() { dropHalf(v) }
			}
			for k := range v {
				if !kept[k] {
					look(v[k], func(with any) { v[k] = with })
				}
			}
		}
	}
	look(of, nil)
	return halve
}

// dropHalf removes the second half of an object's fields.
func dropHalf(of map[string]any) {
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names[len(names)/2:] {
		delete(of, name)
	}
}
