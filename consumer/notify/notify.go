// Package notify turns notifications into messages to people. A receiver sends one batch of
// notifications to one address at a time, and its error says whether another try is of any
// use. The packages below are the receivers; this one has what they share:
//
//   - Incidents folds a batch into one entry for each alert;
//   - LineOf puts a notification into one line;
//   - Permanent, Outage, After and Partly say of an error what comes next.
//
// Package post sends a batch by HTTP and judges the answer; package link makes the addresses
// to which a notification leads.
//
// A new kind of receiver is written in three places, and a test fails for each that is
// forgotten:
//
//   - a package below, or a file of chat: the settings, a struct with WithDefaults and
//     Validate, and a constructor that returns a Receiver. One that posts JSON needs no more
//     than a post.Posting: the address, the body, and what the other side answers to what it has
//     taken. notifytest.RunReceiver is its first test.
//   - package config: a line in Kinds, a case in Receiver.New, and one in Receiver.Limit if
//     programs read it (TestKinds, TestEveryKindIsMade, TestEveryConstructorIsCalled,
//     TestRateLimitOfEachKind).
//   - examples/supernats.yaml, with every key, and a row in the manual, consumer/README.md
//     (TestExampleHasEveryKey, TestExampleIsValid, TestManualHasEveryKind).
//
// Under pressure: a receiver keeps nothing and never retries by itself. Its caller reads the
// stream SUPERVISOR_ALERTS with one durable consumer for each address, so that nothing is
// lost and no receiver waits for another.
package notify

import (
	"context"
	"errors"
	"strconv"

	"supernats/schema"
)

// Notification is one of a batch.
type Notification = schema.CloudEvent[*schema.Notification]

// LabelAddress is the label of an alert that holds an address of its host.
const LabelAddress = "address"

// Receiver delivers notifications to one address.
type Receiver interface {
	// Name identifies the receiver and its address over restarts: "mail/ops@example.com".
	Name() string
	// Notify returns nil when the other side has accepted all notifications of a batch.
	// They are in the order in which they were made, at least one. It returns within the
	// receiver's time limit, and sooner if ctx ends.
	//
	// An error wrapped by Permanent will come back at every try, at least for one of the
	// batch; any other may pass. One wrapped by Outage has nothing to do with this batch,
	// one wrapped by After says when to try again, and one wrapped by Partly which of the
	// batch were accepted all the same. The same batch may come again: what is sent carries
	// its IDs.
	Notify(ctx context.Context, batch []*Notification) error
}

// ReceiverName is how the errors of a receiver begin: `slack receiver "chat"`.
func ReceiverName(kind, name string) string { return kind + " receiver " + strconv.Quote(name) }

// Sized is a receiver that makes a request of each incident, and so gains nothing from big
// batches: if it stops in the middle of one, what was accepted is sent again.
type Sized interface {
	// MaxBatch is how many notifications a batch may have.
	MaxBatch() int
}

// Expiring is a receiver on whose side an alert is over unless it hears of it again. It gets
// quiet notifications too: by them an alert lasts that somebody has acknowledged.
type Expiring interface {
	// Expires reports whether it is one.
	Expires() bool
}

// Identity is who sends.
type Identity struct {
	// Instance is the name of the host on which supernats runs.
	Instance string
	Version  string
	// URL is where people find the web page of this instance, "" if nowhere.
	URL string
}

// Check reports a batch that nobody can send.
func Check(batch []*Notification) error {
	if len(batch) == 0 {
		return errors.New("batch without notifications")
	}
	for _, n := range batch {
		if n == nil || n.Data == nil {
			return errors.New("notification without data")
		}
	}
	return nil
}
