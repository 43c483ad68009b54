// Package summary says in a line what a batch of notifications is about: the subject of
// a mail, its first sentence, and the sentence about each alert of a list.
//
// The notifications are clean: every text in them is visible and bounded, so nothing here
// escapes anything. What is too long for a line is cut. Only Fold takes them as they came.
package summary

import (
	"supernats/consumer/notify"
	"supernats/consumer/wording"
)

// Notification is one of a batch.
type Notification = notify.Notification

const (
	// MaxName is how many characters of a name stand in a sentence, a subject or a list.
	MaxName = 60
	// maxSentence bounds the first sentence about several alerts.
	maxSentence = 500
)

// Summary is what a batch is about.
type Summary struct {
	// Subject is one line of at most MaxWidth columns.
	Subject string
	// Sentence is the first one of a text, with a full stop.
	Sentence string
}

// Of sums up a batch, which has at least one notification.
func Of(batch []*Notification) Summary {
	if len(batch) == 1 {
		return Summary{Subject: subjectOfOne(batch[0]), Sentence: Sentence(batch[0]) + "."}
	}

	d := newDigest(batch)
	return Summary{
		Subject:  subjectOfMany(batch, d),
		Sentence: wording.Clip(d.text(), maxSentence) + d.tail() + ".",
	}
}

// Short cuts a name for a sentence, a subject or a list.
func Short(name string) string { return wording.Cell(name, MaxName) }

// Details are put in parentheses after what happened: why, and by which rule where that
// is not plain already. They are "" where all parts are.
func Details(parts ...string) string {
	s := wording.Join("; ", parts...)
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}
