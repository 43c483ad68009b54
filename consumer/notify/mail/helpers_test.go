package mail

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/lettertest"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
)

const (
	from    = "Supervisor <supervisor@example.com>"
	ops     = "ops@example.com"
	oncall  = "oncall@example.com"
	secret  = "correct horse"
	eventID = lettertest.EventID
	// short is the first time limit of receivers that have to run into it, see
	// runOut; slack is what a loaded machine may add.
	short = 300 * time.Millisecond
	slack = 10 * time.Second
)

var identity = notify.Identity{Instance: "mon1", Version: "1.2.3"}

// The notifications of the tests.
type notification = lettertest.Notification

var (
	firing, batch      = lettertest.Firing, lettertest.Batch
	serve, mustContain = smtptest.Serve, lettertest.MustContain
)

// TestMain finds what still runs after a delivery.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config is that of receivers that get on with the server.
func config(t testing.TB, s *smtptest.Server, mode string) Config {
	t.Helper()
	c := Config{Smarthost: s.Addr(), TLS: mode, From: from, To: []string{ops}, Timeout: schema.Duration(time.Minute)}
	if mode != TLSNone {
		c.CAFile = filepath.Join(t.TempDir(), "ca.pem")
		if err := s.Authority().WritePEM(c.CAFile); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// receivers makes them with a clock that stands at a second after the event.
func receivers(t testing.TB, c Config) []*Receiver {
	t.Helper()
	rs, err := New(c, identity)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		r.now = func() time.Time { return lettertest.Happened.Add(time.Second) }
	}
	return rs
}

// receiver is that of the first recipient.
func receiver(t testing.TB, c Config) *Receiver {
	t.Helper()
	return receivers(t, c)[0]
}

// deliver sends a notification and returns the mail that arrived.
func deliver(t testing.TB, n *notification, change ...func(*Receiver)) smtptest.Mail {
	t.Helper()
	return deliverAll(t, batch(n), change...)
}

// deliverAll sends a batch and returns the one mail that arrived.
func deliverAll(t testing.TB, batch []*notification, change ...func(*Receiver)) smtptest.Mail {
	t.Helper()
	s := serve(t, smtptest.Options{})
	r := receiver(t, config(t, s, TLSNone))
	for _, f := range change {
		f(r)
	}
	if err := r.Notify(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return one(t, s)
}

// one waits for the only mail of a server.
func one(t testing.TB, s *smtptest.Server) smtptest.Mail {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	mails, err := s.WaitFor(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(mails) != 1 {
		t.Fatalf("%d mails arrived, want 1", len(mails))
	}
	if mails[0].Err != nil {
		t.Fatalf("%v in:\n%s", mails[0].Err, mails[0].Data)
	}
	return mails[0]
}
