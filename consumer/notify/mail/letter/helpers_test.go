package letter

import (
	"errors"
	"testing"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/letter/custom"
	"supernats/consumer/notify/mail/lettertest"
)

// The notifications of the tests.
type notification = lettertest.Notification

var (
	firing    = lettertest.Firing
	exit      = lettertest.Exit
	alertOf   = lettertest.Alert
	crash     = lettertest.Crash
	recovered = lettertest.Recovered
	storm     = lettertest.Storm
	batch     = lettertest.Batch
	code      = lettertest.Code
	happened  = lettertest.Happened

	golden      = lettertest.Golden
	mustContain = lettertest.MustContain
)

var (
	identity = notify.Identity{Instance: "mon1", Version: "1.2.3"}
	// linked has an external_url.
	linked = notify.Identity{Instance: "mon1", Version: "1.2.3", URL: "https://ops.example.com/supernats/"}
)

// keys are those of the configuration that letters follow.
type keys struct{ Subject, Text, HTML, Location string }

// parse is how the templates of a configuration are read.
func (k keys) parse() (*custom.Templates, error) {
	own, err := custom.Parse(k.Subject, k.Text, k.HTML)
	if err != nil {
		return nil, err
	}
	return own, errors.Join(Check(own)...)
}

// write words a batch a second after the event.
func write(t testing.TB, batch []*notification) Letter {
	t.Helper()
	return writeBy(t, batch, func(*keys) {})
}

func writeAt(t testing.TB, batch []*notification, now time.Time) Letter {
	t.Helper()
	l, err := NewWriter(&custom.Templates{}, identity, time.UTC).Write(batch, now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// writeBy words a batch as a configuration wants it.
func writeBy(t testing.TB, batch []*notification, change func(*keys)) Letter {
	t.Helper()
	var k keys
	change(&k)
	own, err := k.parse()
	if err != nil {
		t.Fatal(err)
	}
	location, err := time.LoadLocation(k.Location)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewWriter(own, identity, location).Write(batch, happened.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return l
}
