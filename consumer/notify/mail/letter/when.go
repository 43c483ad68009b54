package letter

import (
	"time"

	"supernats/consumer/wording"
)

const (
	// timeFormat is a time as a mail writes it: of the receiver's zone, which it names,
	// to the millisecond as in supervisord's log.
	timeFormat = "2006-01-02 15:04:05.000 MST"
	// lateAfter is how old an event is when its age is worth a word.
	lateAfter = time.Minute
)

// stamp writes a time in the zone of the mail, "" for the zero time.
func stamp(t, mail time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(mail.Location()).Format(timeFormat)
}

// ageText is how old something was when the mail was written: "3m ago", "" if a clock is
// wrong.
func ageText(t, mail time.Time) string {
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

// withAge is a time with its age.
func withAge(t, mail time.Time) string {
	s := stamp(t, mail)
	if a := ageText(t, mail); a != "" && s != "" {
		s += " (" + a + ")"
	}
	return s
}
