package machine

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"supernats/consumer"
	"supernats/consumer/config"
	"supernats/consumer/notify"
	"supernats/consumer/notify/mail"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/consumer/state"
	"supernats/schema"
)

// A program that runs for 40 s and crashes, for a day, with the settings of an
// installation that has written none: what the machine makes of it is mailed, what is
// made at one time in one mail.
func TestMailsOfADayOfCrashes(t *testing.T) {
	srv := smtptest.Serve(t, smtptest.Options{})
	receivers, err := mail.New(mail.Config{
		Smarthost: srv.Addr(), TLS: mail.TLSNone, From: "supervisor@example.com", To: []string{"ops@example.com"}, Timeout: schema.Duration(time.Minute),
	}, notify.Identity{Instance: "mon1"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	set, err := cfg.CompileRules()
	if err != nil {
		t.Fatal(err)
	}

	day := &flapper{T: t, m: New(set, state.DefaultLimits()), now: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)}
	crashes := 0
	for range 24 * 60 * 60 / 40 {
		day.says("web", schema.ProcessStateStarting, 0)
		day.says("web", schema.ProcessStateRunning, time.Second)
		day.says("web", schema.ProcessStateExited, 39*time.Second)
		crashes++
	}
	day.says("web", schema.ProcessStateRunning, time.Second)
	for range 10 {
		day.says("", schema.Tick60, time.Minute)
	}
	day.m.Engine.Advance(day.now)
	var all []*schema.CloudEvent[*schema.Notification]
	for _, n := range day.m.Take() {
		all = append(all, n.Alert.Envelope(n.ID, n.Type, n.At))
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Time.Equal(all[0].Time.Time) {
			n++
		}
		if err := receivers[0].Notify(t.Context(), all[:n]); err != nil {
			t.Fatal(err)
		}
		all = all[n:]
	}

	mails := srv.Mails()
	if len(mails) > 10 {
		t.Errorf("%d mails", len(mails))
	}
	listed, firing, recovered := 0, 0, 0
	for _, m := range mails {
		t.Log(m.Subject())
		listed += len(regexp.MustCompile(`(?m)^  Event  |^ +\d{4}-\d\d-\d\d [0-9:.]+ UTC.*exit code 3`).FindAllString(m.Text, -1))
		switch over := strings.Contains(m.Subject(), "RESOLVED"); {
		case over:
			recovered++
		default:
			firing++
			if strings.Contains(m.Text, "recovered") {
				t.Errorf("one mail says that it crashed and that it has recovered:\n%s", m.Text)
			}
		}
	}
	last := mails[len(mails)-1]
	if !strings.Contains(last.Subject(), "RESOLVED") || !strings.Contains(last.Text, strconv.Itoa(crashes)+" times since the alert opened") {
		t.Errorf("the last mail does not count %d crashes:\n%s", crashes, last.Text[:min(len(last.Text), 1000)])
	}
	if listed < crashes-2 { // one that is alone in a mail is no row of a table
		t.Errorf("%d of %d crashes are listed", listed, crashes)
	}
	if recovered != 2 || !strings.Contains(mails[3].Subject(), "crashed 22x in 15m, runs 40s each") {
		t.Errorf("%d mails say that it has recovered; the fourth is %q", recovered, mails[3].Subject())
	}
}

// flapper hands a machine the events of a process of web1, one after the other.
type flapper struct {
	*testing.T
	m      *Machine
	now    time.Time
	serial uint64
}

// says is an event that comes some time after the last one.
func (f *flapper) says(process, name string, after time.Duration) {
	f.Helper()
	f.now = f.now.Add(after)
	f.serial++
	e := &schema.Event{Event: name, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: f.serial, Pool: "supernats", PoolSerial: f.serial}
	if process != "" {
		e.Group, e.Process = process, process
	}
	if name == schema.ProcessStateExited {
		e.Expected, e.FromState, e.Exit = new(false), "RUNNING", &schema.Exit{Code: new(3)}
	}
	data, err := schema.Marshal(e.Envelope(f.now))
	if err != nil {
		f.Fatal(err)
	}
	in := consumer.Message{Subject: e.Subject(), Data: data, Seq: f.serial, Stored: f.now, Sent: f.now}
	if err := f.m.Apply(&in, f.now.Add(-24*time.Hour)); err != nil {
		f.Fatal(fmt.Errorf("apply %s: %w", name, err))
	}
}

// bridge is a record of the bridge of web1.
func (f *flapper) bridge(b *schema.Bridge, kind string) {
	f.Helper()
	f.now = f.now.Add(time.Second)
	f.serial++
	b.Host, b.Server, b.Boot, b.Pool, b.PID = "web1", "supervisor", "4f0c6d1e2a90b7c3", "supernats", 1
	data, err := schema.Marshal(b.Envelope(kind, f.now))
	if err != nil {
		f.Fatal(err)
	}
	in := consumer.Message{Subject: schema.BridgeSubject("web1", kind), Data: data, Seq: f.serial, Stored: f.now, Sent: f.now}
	if err := f.m.Apply(&in, f.now.Add(-24*time.Hour)); err != nil {
		f.Fatal(err)
	}
}
