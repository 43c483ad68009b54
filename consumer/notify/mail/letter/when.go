package letter

import (
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

const (
	// timeFormat is a time as a mail writes it: of the receiver's zone, which it names,
	// to the millisecond as in supervisord's log.
	timeFormat = "2006-01-02 15:04:05.000 MST"
	// lateAfter is how old an event is when its age is worth a word.
	lateAfter = time.Minute
)

// stamp writes a time in the zone of the mail, "" if there is none.
func stamp(t, mail time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(mail.Location()).Format(timeFormat)
}

// age is how old something was when the mail was written: "3m ago", "" if a clock is
// wrong.
func age(t, mail time.Time) string {
	d := mail.Sub(t)
	switch {
	case t.IsZero(), d <= -time.Second:
		return ""
	case d < time.Second:
		return "just now"
	}
	if d >= lateAfter {
		d = d.Round(time.Minute)
	}
	return wording.Rounded(d) + " ago"
}

// when is a time with its age.
func when(t, mail time.Time) string {
	s := stamp(t, mail)
	if a := age(t, mail); a != "" && s != "" {
		s += " (" + a + ")"
	}
	return s
}

// openFor is how long an alert was open at a time, "" if that is not known.
func openFor(a *schema.Notification, until time.Time) string {
	if a.Closed != nil {
		until = a.Closed.Time
	}
	if a.Opened.IsZero() || until.Before(a.Opened.Time) {
		return ""
	}
	return wording.Rounded(until.Sub(a.Opened.Time))
}
