// Package letter words the mails: subject, text, page and header fields about a batch of
// notifications. It sends nothing and opens nothing; package mail does.
//
// What processes call themselves and write becomes harmless at the door (door.go), once:
// nothing in a letter can look like a line, a field or an element of its own. On the way in
// summary.Fold joins what a batch says about one thing. Then Data is filled in, which
// templates of the configuration see; a view of it is what the built-in templates lay out,
// for a reader who has been woken up.
//
// Under pressure: a letter has every event, in some 200 bytes of both bodies together, the
// link of each incident in as much again, and logs of at most 64 KiB, those of the worst
// alerts. Nothing is kept after it.
package letter

import (
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/letter/custom"
	"supernats/consumer/notify/mail/summary"
)

// Letter is what a mail says.
type Letter struct {
	// Subject is one visible line; Text and HTML are the two bodies.
	Subject, Text, HTML string
	// Fields are those of the header by which a mailbox can sort the mail, those without
	// a value left out.
	Fields []Field
	// OneIncident says that all of it is about one incident.
	OneIncident bool
}

// Field is one of a header.
type Field struct{ Name, Value string }

// Writer writes the letters of one section of the configuration. Its methods may be called
// at the same time.
type Writer struct {
	templates *custom.Templates
	from      notify.Identity
	// location is the zone of the times in a letter.
	location *time.Location
}

// NewWriter returns a writer. Templates take the place of supernats' own words.
func NewWriter(own *custom.Templates, from notify.Identity, location *time.Location) *Writer {
	return &Writer{templates: own, from: from, location: location}
}

// Write words a batch, which has at least one notification and none without data. It does not
// change the batch. now is the time of the mail.
func (w *Writer) Write(batch []*notify.Notification, now time.Time) (Letter, error) {
	c, err := render(batch, w.templates, w.from, now.In(w.location))
	if err != nil {
		return Letter{}, err
	}

	return Letter{
		Subject: summary.HeaderValue(c.Subject), Text: c.Text, HTML: c.HTML,
		Fields: fields(batch), OneIncident: summary.IsOneIncident(batch),
	}, nil
}
