package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"supernats/consumer/alerts"
	"supernats/schema"
)

const (
	// alertHeaders is more than the headers of a notification take, without its id.
	alertHeaders = 1 << 10
	// leastLog is how much of each log is kept before a notification is divided.
	leastLog = 256
	// shortText is how much is kept of texts for which there is no room.
	shortText = 200
)

// piece is a notification as it is published, or a part of one.
type piece struct {
	id   string
	json []byte
}

// write makes a notification's JSON, no larger than the server and the stream take
// it. One that lists many crashes loses of their logs first; then it is divided, so
// that every crash is listed; what is left of a part with one crash loses its texts.
// Its count stays, and `supernats replay` has all that was cut.
func (v *events) write(n *alerts.Notification) ([]piece, error) {
	own, a := *n, *n.Alert
	a.Events = v.line.sequences(slices.Clone(a.Events))
	own.Alert = &a
	w := writer{note: &own, limit: int(v.js.Conn().MaxPayload())}
	if v.maxAlert > 0 {
		w.limit = min(w.limit, v.maxAlert)
	}
	w.limit -= alertHeaders + 2*len(partID(n.ID, len(n.Alert.Events), len(n.Alert.Events))) // a message id too

	json, err := w.fit(n.ID, n.Type, w.part(0, len(n.Alert.Events)))
	if err != nil || json != nil {
		return []piece{{n.ID, json}}, err
	}
	w.texts = true
	err = w.divide(0, len(n.Alert.Events))
	return w.pieces, err
}

// budgeted is a notification with as much of its logs as its hosts may have.
func (v *events) budgeted(n alerts.Notification) alerts.Notification {
	a := *n.Alert
	a.Events = slices.Clone(a.Events)
	v.logBudget.take(&a, n.At)
	n.Alert = &a
	return n
}

// writer makes the messages of one notification.
type writer struct {
	note   *alerts.Notification
	limit  int  // of one message
	texts  bool // to be shortened
	pieces []piece
}

// divide writes the events from first to before end, in as many parts as it takes.
func (w *writer) divide(first, end int) error {
	all := len(w.note.Alert.Events)
	id, typ, a := w.note.ID, w.note.Type, w.part(first, end)
	if first > 0 || end < all {
		id = partID(id, first, end)
	}
	switch {
	case typ == schema.TypeAlertFiring && first > 0:
		typ = schema.TypeAlertUpdate
	case typ == schema.TypeAlertResolved && end < all: // there is more to come
		typ, a.Closed = schema.TypeAlertUpdate, nil
	}

	json, err := w.fit(id, typ, a)
	if err == nil && json == nil && end-first > 1 {
		middle := (first + end) / 2
		if err := w.divide(first, middle); err != nil {
			return err
		}
		return w.divide(middle, end)
	}
	if err == nil && json == nil {
		json, err = w.least(id, typ, a)
	}
	w.pieces = append(w.pieces, piece{id, json})
	return err
}

// part is a copy of the notification with some of its events.
func (w *writer) part(first, end int) *schema.Notification {
	a := *w.note.Alert
	a.Events = slices.Clone(a.Events[first:end])
	if w.texts {
		a.Labels, a.Annotations = shorterTexts(a.Labels, w.limit/8), shorterTexts(a.Annotations, w.limit/8)
	}
	return &a
}

func (w *writer) json(id, typ string, a *schema.Notification) ([]byte, error) {
	json, err := schema.Marshal(a.Envelope(id, typ, w.note.At))
	if err != nil {
		return nil, fmt.Errorf("write notification %s: %w", id, err)
	}
	return json, nil
}

// fit writes a part with as much of the logs as there is room for, or nil.
func (w *writer) fit(id, typ string, a *schema.Notification) ([]byte, error) {
	json, err := w.json(id, typ, a)
	for kept := 4096; err == nil && len(json) > w.limit && kept >= leastLog; kept /= 4 {
		for i := range a.Events {
			a.Events[i].Log = shorterLog(a.Events[i].Log, kept)
		}
		json, err = w.json(id, typ, a)
	}
	if len(json) > w.limit {
		json = nil
	}
	return json, err
}

// least writes a part that is too large with hardly any event: without logs, and with
// less and less of all texts.
func (w *writer) least(id, typ string, a *schema.Notification) (json []byte, err error) {
	for kept := 4 * shortText; ; kept /= 4 {
		for i := range a.Events {
			shortenEvent(&a.Events[i], kept)
		}
		a.Labels, a.Annotations = shorterTexts(a.Labels, kept*len(a.Labels)), shorterTexts(a.Annotations, kept*len(a.Annotations))
		if json, err = w.json(id, typ, a); err != nil || len(json) <= w.limit || kept == 0 {
			return json, err
		}
	}
}

// shortenEvent takes from an event what is not needed to know what happened.
func shortenEvent(e *schema.AlertEvent, kept int) {
	e.Log, e.Last, e.Server = nil, nil, ""
	e.Text, e.Fix, e.Cause = shorter(e.Text, kept), shorter(e.Fix, kept), shorter(e.Cause, kept)
	e.Exit = shorterExit(e.Exit, kept)
}

// shorterExit keeps so many bytes of each text that is longer; what says why the process
// died is kept.
func shorterExit(x *schema.Exit, kept int) *schema.Exit {
	if x == nil {
		return nil
	}
	short, least := *x, max(kept, 10)
	short.SpawnErr, short.Signal, short.Source = shorter(x.SpawnErr, kept), shorter(x.Signal, least), shorter(x.Source, kept)
	if x.OOM != nil {
		oom := *x.OOM
		oom.Cgroup = shorter(oom.Cgroup, least)
		short.OOM = &oom
	}
	return &short
}

// shorterTexts keeps so many bytes of texts, of each its share.
func shorterTexts(texts map[string]string, kept int) map[string]string {
	size := 0
	for name, text := range texts {
		size += len(name) + len(text)
	}
	if size <= kept {
		return texts
	}
	short := maps.Clone(texts)
	for name, text := range short {
		if text = shorter(text, kept/len(texts)-len(name)); text == "" {
			delete(short, name)
		} else {
			short[name] = text
		}
	}
	return short
}

// shorter is the beginning of a text, with an ellipsis where something is cut.
func shorter(s string, n int) string {
	const cut = "…"
	switch {
	case len(s) <= n:
		return s
	case n <= len(cut):
		return ""
	}
	return strings.ToValidUTF8(s[:n-len(cut)], "") + cut
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
