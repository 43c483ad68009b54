package app

import (
	"context"
	"fmt"
	"net/smtp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
)

// letters is a receiver that sends one mail for a batch, a line for each
// notification.
type letters struct{ server string }

func (l letters) Name() string { return "mail/ops@example.com" }

func (l letters) Notify(_ context.Context, b []*schema.CloudEvent[*schema.Alert]) error {
	text := "Subject: " + b[0].ID + "\r\n\r\n" + strings.Join(processes(b), "\r\n") + "\r\n"
	return smtp.SendMail(l.server, nil, "supernats@example.com", []string{"ops@example.com"}, []byte(text))
}

func mailServer(t *testing.T, delay time.Duration) *smtptest.Server {
	t.Helper()
	s, err := smtptest.Start(smtptest.Options{Behaviour: smtptest.Behaviour{Delay: delay}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// 1,000 crashes in a tenth of the time of a storm, with a mail server and a limit
// that are as slow in proportion: few mails, and all crashes in them. The first
// one does not wait.
func TestStorm(t *testing.T) {
	const crashes, scale = 1000, 10
	f := newFleet(t)
	server := mailServer(t, 2*time.Second/scale)
	d := newDelivery(f.js, addressee{Receiver: letters{server.Addr()}, name: "mail", limit: limit{forPeople.burst, forPeople.every / scale}}, isHeld, quick(), zerolog.Nop())
	run := f.runDelivery(d)
	all := numbered(crashes)
	begun := time.Now()
	for i, p := range all {
		time.Sleep(time.Until(begun.Add(10 * time.Second / scale * time.Duration(i) / crashes)))
		f.alert(p)
	}
	var got []string
	f.until("all crashes are in mails", func() bool {
		got = nil
		for _, m := range server.Mails() {
			got = append(got, strings.Fields(m.Text)...)
		}
		return len(got) >= crashes
	})
	run.stop()
	mails := server.Mails()
	if len(mails) > 5 {
		t.Errorf("%d mails", len(mails))
	}
	if !slices.Equal(got, all) {
		t.Errorf("%d crashes are in the mails, not each once in order", len(got))
	}
	if first := mails[0].Received.Sub(begun); first > 2*time.Second/scale+time.Second {
		t.Errorf("the first mail is there after %v", first)
	}
	for _, m := range mails {
		t.Logf("%d crashes after %v", len(strings.Fields(m.Text)), m.Received.Sub(begun).Round(time.Millisecond))
	}
}

// From the answer to the publisher to the call of Notify.
func TestFirstNotificationGoesOutAtOnce(t *testing.T) {
	f := newFleet(t)
	called := make(chan time.Time, 1)
	r := &receiver{name: "mail/ops@example.com", answer: func(context.Context, batch) error { called <- time.Now(); return nil }}
	f.deliver(r)
	var took []time.Duration
	for i := range 200 {
		begun := time.Now()
		f.alert(fmt.Sprintf("p%d", i))
		took = append(took, (<-called).Sub(begun))
		f.delivered(r)
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	t.Logf("p50 %v, p99 %v", p50, p99)
	if p50 > 50*time.Millisecond {
		t.Errorf("p50 is %v", p50)
	}
}
