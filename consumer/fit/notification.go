// Package fit makes what is written fit into a message: a notification into one message
// or several, a record of a bucket into one. nats-server bounds a message by max_payload,
// and a stream by its max_msg_size.
//
// Logs go first, then long texts. A notification that lists many crashes is divided, so
// that every crash is listed; of a record, what the next messages bring again goes before
// what only the record holds. What is left out stays in the stream of events:
// `supernats replay` has it. The package keeps nothing but the budget of LogBudget.
package fit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/schema"
)

const (
	// notificationHeaders is more than the headers of a notification take, without its
	// id, in bytes.
	notificationHeaders = 1 << 10
	// mostLog and leastLog are how much is kept of each log, at first and at last,
	// before a notification is divided, in bytes.
	mostLog  = 4 << 10
	leastLog = 256
)

// Piece is the JSON of a notification or of a part of one, with its id.
type Piece struct {
	ID   string
	JSON []byte
}

// Notification writes a notification that was made at a time as messages that have,
// with their headers, at most limit bytes each. Mostly it is one message.
//
// One that lists many crashes loses some of their logs first. Then it is divided; a part
// that has one crash and is still too large loses its texts. The count of each part is
// that of the whole. a stays as it is.
func Notification(id, typ string, a *schema.Notification, at time.Time, limit int) ([]Piece, error) {
	all := len(a.Events)
	w := writer{id: id, typ: typ, alert: a, at: at}
	w.limit = limit - notificationHeaders - 2*len(partID(id, all, all)) // a message id too

	json, err := w.fit(id, typ, w.part(0, all))
	if err != nil || json != nil {
		return []Piece{{id, json}}, err
	}

	w.shortTexts = true
	err = w.divide(0, all)
	return w.pieces, err
}

// writer makes the messages of one notification.
type writer struct {
	id, typ    string
	alert      *schema.Notification
	at         time.Time
	limit      int  // of the JSON of one message, in bytes
	shortTexts bool // labels and annotations have to be shortened
	pieces     []Piece
}

// divide writes the events from first to before end, in as many parts as it takes.
func (w *writer) divide(first, end int) error {
	all := len(w.alert.Events)
	id, typ := w.id, w.typ
	a := w.part(first, end)
	if first > 0 || end < all {
		id = partID(id, first, end)
	}
	switch {
	case typ == schema.TypeAlertFiring && first > 0:
		typ = schema.TypeAlertUpdate
	case typ == schema.TypeAlertResolved && end < all: // there is more to come
		typ = schema.TypeAlertUpdate
		a.Closed = nil
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
	w.pieces = append(w.pieces, Piece{id, json})
	return err
}

// part is a copy of the notification with some of its events.
func (w *writer) part(first, end int) *schema.Notification {
	a := *w.alert
	a.Events = slices.Clone(a.Events[first:end])
	if w.shortTexts {
		a.Labels = shortenTexts(a.Labels, w.limit/8)
		a.Annotations = shortenTexts(a.Annotations, w.limit/8)
	}
	return &a
}

func (w *writer) json(id, typ string, a *schema.Notification) ([]byte, error) {
	json, err := schema.Marshal(a.Envelope(id, typ, w.at))
	if err != nil {
		return nil, fmt.Errorf("write notification %s: %w", id, err)
	}
	return json, nil
}

// fit writes a part with as much of the logs as there is room for, or nil.
func (w *writer) fit(id, typ string, a *schema.Notification) ([]byte, error) {
	json, err := w.json(id, typ, a)
	for kept := mostLog; err == nil && len(json) > w.limit && kept >= leastLog; kept /= 4 {
		for i := range a.Events {
			a.Events[i].Log = shortenLog(a.Events[i].Log, kept)
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
		a.Labels = shortenTexts(a.Labels, kept*len(a.Labels))
		a.Annotations = shortenTexts(a.Annotations, kept*len(a.Annotations))

		if json, err = w.json(id, typ, a); err != nil || len(json) <= w.limit || kept == 0 {
			return json, err
		}
	}
}

// partID is the id of a part of a notification: the events from first to before end.
func partID(id string, first, end int) string {
	return id + "." + strconv.Itoa(first) + "." + strconv.Itoa(end)
}

// CutID splits the id of a Piece into that of the alert, the number of the notification
// and, of a part, the number of the event before which it ends; 0 of a whole one.
func CutID(id string) (alert string, number, end int) {
	i := strings.LastIndexByte(id, '/')
	numbers := strings.Split(id[i+1:], ".")
	number, _ = strconv.Atoi(numbers[0])
	if len(numbers) == 3 {
		end, _ = strconv.Atoi(numbers[2])
	}
	return id[:max(i, 0)], number, end
}
