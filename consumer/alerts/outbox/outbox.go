// Package outbox is what is to be reported: for each incident the list of its events that
// are in no notification yet, and the notifications that wait to be published.
//
// Under pressure logs are dropped, the events never are. An event keeps at most 16 KiB of
// its log; a list 128 KiB, those of its first events, and as much of its last; all lists
// together 64 MiB, beyond which events are listed without. An event takes some 500 bytes
// besides. How many events a list may have is for the caller to bound; at 100,000 in all
// the outbox is Full. Notifications wait for Take, so the caller bounds them by the number
// of messages between two calls.
package outbox

import "supernats/schema"

// maxEvents is how many events may wait until the outbox is full: 50 MB.
const maxEvents = 100_000

// Outbox has the notifications to be published, and counts what all lists hold.
//
//   - events is the sum of len(List.Events) of all lists, logs that of List.logs.
//   - notes are in the order in which they were made.
type Outbox struct {
	notes  []Notification
	events int
	logs   int // bytes
}

// Add appends an event to a list.
func (o *Outbox) Add(l *List, ev schema.AlertEvent) {
	o.change(l, func() { l.add(ev, maxLogs-o.logs) })
}

// Drop removes the first events of a list.
func (o *Outbox) Drop(l *List, n int) {
	o.change(l, func() { l.drop(n) })
}

// Take removes the first events of a list and returns them.
func (o *Outbox) Take(l *List, n int) (events []schema.AlertEvent) {
	o.change(l, func() { events = l.take(n) })
	return events
}

// Fold drops one event from the middle of a list of three and more.
func (o *Outbox) Fold(l *List) {
	o.change(l, func() { l.remove(len(l.Events) / 2) })
}

// change does something with a list, and counts what that takes.
func (o *Outbox) change(l *List, do func()) {
	logs := l.logs
	events := len(l.Events)

	do()

	o.logs += l.logs - logs
	o.events += len(l.Events) - events
}

// Full reports whether no more events may wait than can be avoided.
func (o *Outbox) Full() bool { return o.events > maxEvents }

// Put adds a notification.
func (o *Outbox) Put(n Notification) { o.notes = append(o.notes, n) }

// Notifications returns those since the last call.
func (o *Outbox) Notifications() []Notification {
	notes := o.notes
	o.notes = nil
	return notes
}
