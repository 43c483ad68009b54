package deliver

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"supernats/consumer/config"
	"supernats/consumer/notify"
	"supernats/consumer/notify/mail"
	"supernats/consumer/notify/mail/smtptest"
)

// mailTo is the real receiver of mail.
func mailTo(t *testing.T, server *smtptest.Server) *mail.Receiver {
	t.Helper()
	all, err := mail.New(mail.Config{
		Smarthost: server.Addr(), TLS: mail.TLSNone, From: "supernats@example.com", To: []string{"ops@example.com"},
	}.WithDefaults(), notify.Identity{Instance: "mon1", Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

var crashed = regexp.MustCompile(`\bp\d{4}\b`)

// toldIn returns the processes that a mail names, each once.
func toldIn(m smtptest.Mail) []string {
	all := crashed.FindAllString(m.Text, -1)
	slices.Sort(all)
	return slices.Compact(all)
}

func mailServer(t *testing.T, delay time.Duration) *smtptest.Server {
	t.Helper()
	return smtptest.Serve(t, smtptest.Options{Behaviour: smtptest.Behaviour{Delay: delay}})
}

// 1,000 crashes in a tenth of the time of a storm, with a mail server and a limit
// that are as slow in proportion: few mails, and all crashes in them. The first
// one does not wait.
func TestStorm(t *testing.T) {
	const crashes, scale = 1000, 10
	f := newFleet(t)
	server := mailServer(t, 2*time.Second/scale)
	people := config.ForPeople()
	d := newDelivery(f.JS, Addressee{Receiver: mailTo(t, server), Called: "mail", Limit: Limit{people.Burst, time.Duration(people.Every) / scale}})
	run := f.runDelivery(d)
	all := numbered(crashes)
	begun := time.Now()
	for i, p := range all {
		time.Sleep(time.Until(begun.Add(10 * time.Second / scale * time.Duration(i) / crashes)))
		f.alert(p)
	}
	var got []string
	f.Until("all crashes are in mails", func() bool {
		got = nil
		for _, m := range server.Mails() {
			got = append(got, toldIn(m)...)
		}
		return len(got) >= crashes
	})
	run.Stop()
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
		t.Logf("%d crashes after %v", len(toldIn(m)), m.Received.Sub(begun).Round(time.Millisecond))
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
