package summary

import (
	"supernats/consumer/notify/mail/lettertest"
)

// The notifications of the tests.
type notification = lettertest.Notification

var (
	firing    = lettertest.Firing
	note      = lettertest.Note
	exit      = lettertest.Exit
	of        = lettertest.Of
	alertOf   = lettertest.Alert
	crash     = lettertest.Crash
	recovered = lettertest.Recovered
	storm     = lettertest.Storm
	batch     = lettertest.Batch
	at        = lettertest.At
	code      = lettertest.Code
	happened  = lettertest.Happened
)

// words are the subject and the first sentence about a batch.
func words(batch []*notification) (subject, sentence string) {
	s := Of(batch)
	return s.Subject, s.Sentence
}
