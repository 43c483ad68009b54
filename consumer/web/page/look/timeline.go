package look

import (
	"fmt"
	"time"

	"supernats/consumer/history"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Entry is something that happened, for a timeline.
type Entry struct {
	ID string
	// Place is that in the stream, of an entry with an ID.
	Place       uint64
	At          Moment
	Class, Text string
	// Path leads to what it is about, where that is not the page itself.
	Who, Path string
	Detail    string
}

// TimelineOf writes events of one process, the newest first.
func TimelineOf(events []history.StoredEvent, trusted bool) (list []Entry) {
	for i := range events {
		e := Happening(&events[i], trusted)
		list = append(list, e)
	}
	return list
}

// Happening writes an event. What programs wrote is only for those who are trusted.
func Happening(e *history.StoredEvent, trusted bool) Entry {
	ev := alertEvent(e)
	text := Clip(e.Data.Event)
	if p, ok := wording.OfEvent("", ev); ok {
		text = p.Text()
	}
	pid := ""
	if e.Data.PID > 0 {
		pid = fmt.Sprintf("pid %d", e.Data.PID)
	}
	tries := ""
	if e.Data.Tries != nil && *e.Data.Tries > 0 {
		tries = fmt.Sprintf("try %d", *e.Data.Tries)
	}

	out := Entry{At: Exact(e.Time.Time), Class: eventClass(e.Data)}
	out.Text = wording.Join(" · ", text, wording.EndOfLife(ev), pid, tries)
	out.Detail = wording.LastLook(ev)
	if e.Data.Data != nil && trusted {
		out.Detail = Clip(*e.Data.Data)
	}
	return out
}

// eventClass is the colour of an event.
func eventClass(e *schema.Event) string {
	switch {
	case e.UnexpectedExit(), e.Event == schema.ProcessStateFatal:
		return "crit"
	case e.Event == schema.ProcessStateBackoff, e.Event == schema.ProcessStateUnknown:
		return "warn"
	case e.Event == schema.ProcessStateRunning:
		return "ok"
	}
	return ""
}

// alertEvent is an event as package wording wants it.
func alertEvent(e *history.StoredEvent) *schema.AlertEvent {
	d := e.Data
	return &schema.AlertEvent{
		Time: e.Time, Event: d.Event, Expected: d.Expected, PID: d.PID, Exit: d.Exit, Log: d.Log,
		Ran: d.Ran, Last: d.Last,
	}
}

// Output is what a program wrote last.
type Output struct {
	// Hidden says that there is some, and the visitor may not see it.
	Hidden         bool
	Stdout, Stderr string
	At             Moment
}

// maxOutput bounds what a page shows of one output, in bytes.
const maxOutput = 16 << 10

// OutputOf returns what a program wrote, nil if it wrote nothing. Only those who are trusted
// see it.
func OutputOf(log *schema.Log, at time.Time, trusted bool) *Output {
	if log == nil || wording.IsBlankLog(log.Stdout) && wording.IsBlankLog(log.Stderr) {
		return nil
	}
	if !trusted {
		return &Output{Hidden: true}
	}
	return &Output{
		Stdout: wording.Log(log.Stdout, maxOutput), Stderr: wording.Log(log.Stderr, maxOutput), At: Clock{}.At(at),
	}
}

// LastOutput is that of the newest death which has one.
func LastOutput(events []history.StoredEvent, trusted bool) *Output {
	for _, e := range events {
		if o := OutputOf(e.Data.Log, e.Time.Time, trusted); o != nil {
			return o
		}
	}
	return nil
}
