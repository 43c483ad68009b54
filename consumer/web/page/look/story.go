package look

import (
	"fmt"

	"supernats/consumer/inspect"
	"supernats/consumer/timeline"
	"supernats/consumer/web/site"
	"supernats/consumer/wording"
)

// EntryOf writes a fact of an incident. Of one about a single process it leaves out whom it
// is about.
func EntryOf(f *timeline.Fact, aboutOne bool) Entry {
	e := Entry{At: Exact(f.Time.Time), Text: f.Text}
	switch {
	case f.Kind != timeline.KindEvent && f.Level == timeline.LevelNote:
		e.Class = "sent"
	case f.Level == timeline.LevelBad:
		e.Class = "crit"
	case f.Level == timeline.LevelGood:
		e.Class = "ok"
	}
	if !aboutOne && f.Host != "" {
		e.Who, e.Path = wording.Join(" · ", f.Host, f.Process), site.HostPath(f.Host)
	}
	return e
}

// Receiver is what became of the last notification somewhere.
type Receiver struct {
	Name, Text string
	Mark       Mark
	At         Moment
}

// ReceiverOf writes a delivery.
func ReceiverOf(d inspect.Delivery) Receiver {
	r := Receiver{
		Name: Name(d.Receiver), Mark: Mark{"ok", "✔", "taken"}, Text: "has taken the last notification",
		At: Clock{}.AtTime(d.Taken),
	}
	switch d.Status {
	case inspect.DeliveryParked:
		r.Mark = Mark{"crit", "✖", "set aside"}
		r.Text = "did not take the last notification, which is tried again: " + Clip(d.Error)
	case inspect.DeliveryWaiting:
		r.Mark, r.Text = Mark{"warn", "…", "waiting"}, "has not taken the last notification yet"
		if d.Error != "" {
			r.Mark = Mark{"crit", "✖", "failing"}
			r.Text = fmt.Sprintf("has failed %s: %s", wording.Count(d.Tries, "time", "times"), Clip(d.Error))
		}
		r.At = Clock{}.AtTime(d.Since)
	}
	return r
}
