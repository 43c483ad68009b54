// Package backlog is what is to be reported: for each incident the list of its events that
// are in no notification yet, and the notifications that wait to be published.
//
// Under pressure logs are dropped, the events never are. An event keeps at most 16 KiB of
// its log; a list 128 KiB, those of its first events, and as much of its last; all lists
// together 64 MiB, beyond which events are listed without. An event takes some 500 bytes
// besides. How many events a list may have is for the caller to bound; at 100,000 in all
// the backlog is Full. Notifications wait for Take, so the caller bounds them by the number
// of messages between two calls.
package backlog

import "supernats/schema"

// maxEvents is how many events may wait until the backlog is full: 50 MB.
const maxEvents = 100_000

// Backlog has the notifications to be published, and counts what all lists hold.
//
//   - events is the sum of len(List.Events) of all lists, logs that of List.logs.
//   - notes are in the order in which they were made.
type Backlog struct {
	notes  []Notification
	events int
	logs   int // bytes
}

// Add appends an event to a list.
func (b *Backlog) Add(l *List, ev schema.AlertEvent) {
	b.change(l, func() { l.add(ev, maxLogs-b.logs) })
}

// Drop removes the first events of a list.
func (b *Backlog) Drop(l *List, n int) {
	b.change(l, func() { l.drop(n) })
}

// Take removes the first events of a list and returns them.
func (b *Backlog) Take(l *List, n int) (events []schema.AlertEvent) {
	b.change(l, func() { events = l.take(n) })
	return events
}

// Fold drops one event from the middle of a list of three and more.
func (b *Backlog) Fold(l *List) {
	b.change(l, func() { l.remove(len(l.Events) / 2) })
}

// change does something with a list, and counts what that takes.
func (b *Backlog) change(l *List, do func()) {
	logs := l.logs
	events := len(l.Events)

	do()

	b.logs += l.logs - logs
	b.events += len(l.Events) - events
}

// Full reports whether no more events may wait than can be avoided.
func (b *Backlog) Full() bool { return b.events > maxEvents }

// Put adds a notification.
func (b *Backlog) Put(n Notification) { b.notes = append(b.notes, n) }

// Notifications returns those since the last call.
func (b *Backlog) Notifications() []Notification {
	notes := b.notes
	b.notes = nil
	return notes
}
