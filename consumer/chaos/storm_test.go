package chaos

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/consumer/notify/mail/smtptest"
)

var stormCrashes = flag.Int("storm.crashes", 1000, "crashes of BenchmarkStorm, in ten seconds")

// slowMail is how long the mail server takes for each.
const slowMail = 2 * time.Second

// storm is many crashes in a short time while the mail server is slow.
type storm struct {
	crashes, processes int
	over               time.Duration
	settings           string // of the daemon, beside its defaults
	recovery           bool   // wait for its end too
}

// outcome is what came of a storm.
type outcome struct {
	died int           // as the processes tell it
	over time.Duration // how long it took
	// stored is how many crashes the stream has, reasons how many of them with their
	// exit code.
	stored, reasons int
	// mailed is how many crashes are in the mails, twice how many in two of them.
	mails, mailed, twice int
	// lost is how many events supervisord has dropped, and lostReported how many
	// our loss records tell.
	lost         int
	lostReported uint64
	// until is the time from the first crash until the last one was in a mail.
	until time.Duration
}

// rage lets the processes die, evenly over the time.
func (s storm) rage(tb testing.TB, c *crashers) (begun time.Time, took time.Duration) {
	tb.Helper()
	begun = time.Now()
	var g errgroup.Group
	for i := range s.crashes {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * s.over / time.Duration(s.crashes))))
		g.Go(func() error { return c.crash(i % s.processes) })
	}
	if err := g.Wait(); err != nil {
		tb.Fatal(err)
	}
	return begun, time.Since(begun)
}

// ours is the storm with the bridge and the daemon.
func (s storm) ours(tb testing.TB) outcome {
	tb.Helper()
	url := startNATS(tb)
	smtp := smtptest.Serve(tb, smtptest.Options{Behaviour: smtptest.Behaviour{Delay: slowMail}})
	d := startDaemon(tb, writeConfig(tb, url, smtp, "", s.settings), nil)
	d.waitFor(tb, saidReading)
	js := connect(tb, url)
	c := startCrashers(tb, s.processes, true, bridge(tb, url))
	calm := c.overflowed()
	begun, took := s.rage(tb, c)
	o := outcome{died: c.total(), over: took}
	// That a crash was not stored shows later, beside what else there is to see.
	settle(30*time.Second, func() bool {
		all, _ := crashes(tb, js)
		return len(all) >= o.died
	})
	all, _ := crashes(tb, js)
	o.stored = len(all)
	for _, c := range all {
		if c.reason {
			o.reasons++
		}
	}
	settle(2*time.Minute-time.Since(begun), func() bool { return s.count(&o, all, smtp.Mails()) })
	if s.recovery && !settle(2*time.Minute-time.Since(begun), func() bool {
		return len(openAlerts(tb, js)) == 0 && delivered(tb, js)
	}) {
		tb.Error("not all alerts are over, and mailed, two minutes after the storm began")
	}
	mails := smtp.Mails()
	s.count(&o, all, mails)
	o.lost = c.overflowed() - calm
	_, o.lostReported = crashes(tb, js)
	for i, m := range mails {
		n := len(crashesIn(m))
		if n > 0 {
			o.until = m.Received.Sub(begun)
		}
		tb.Logf("mail %d after %v with %d crashes, %d bytes: %s", i+1, m.Received.Sub(begun).Round(time.Millisecond), n, len(m.Data), m.Subject())
	}
	return o
}

// count counts the crashes in the mails and reports whether all are there.
func (s storm) count(o *outcome, all []crash, mails []smtptest.Mail) bool {
	seen := map[mailed]int{}
	for _, m := range mails {
		for k := range crashesIn(m) {
			seen[k]++
		}
	}
	o.mails, o.mailed, o.twice = len(mails), 0, 0
	for _, c := range all {
		if seen[c.key()] > 0 {
			o.mailed++
		}
		if seen[c.key()] > 1 {
			o.twice++
		}
	}
	return o.mailed == len(all)
}

// python is the storm with a listener that mails by itself.
func (s storm) python(tb testing.TB) outcome {
	tb.Helper()
	smtp := smtptest.Serve(tb, smtptest.Options{Behaviour: smtptest.Behaviour{Delay: slowMail}})
	c := startCrashers(tb, s.processes, true, pythonListener(tb, smtp.Addr()))
	calm := c.overflowed()
	begun, took := s.rage(tb, c)
	o := outcome{died: c.total(), over: took}
	// It is at its end when no mail has come for longer than two of them take.
	for n := -1; n != len(smtp.Mails()); time.Sleep(3 * slowMail) {
		n = len(smtp.Mails())
	}
	o.lost = c.overflowed() - calm
	for _, m := range smtp.Mails() {
		o.mails++
		o.mailed++
		o.until = m.Received.Sub(begun)
	}
	return o
}

// check fails if something of a storm was lost.
func (o outcome) check(tb testing.TB, crashes, maxMails int) {
	tb.Helper()
	if o.died != crashes {
		tb.Errorf("%d processes died, want %d: the storm was not what it should be", o.died, crashes)
	}
	if o.lost > 0 || o.lostReported > 0 || o.stored != o.died {
		tb.Errorf("supervisord dropped %d events, %d are reported as lost, and the stream has %d of %d crashes", o.lost, o.lostReported, o.stored, o.died)
	}
	if o.mailed != o.died || o.twice > 0 {
		tb.Errorf("the mails report %d of %d crashes, %d of them twice", o.mailed, o.died, o.twice)
	}
	if o.mails > maxMails {
		tb.Errorf("%d mails were sent, want at most %d", o.mails, maxMails)
	}
}

// Crashes by the dozen while the mail server takes two seconds a mail: none is
// lost, all are in the mails, which are few.
func TestStorm(t *testing.T) {
	s := storm{crashes: 200, processes: 40, over: 2 * time.Second, settings: "resolve_after: 5s\n"}
	o := s.ours(t)
	o.check(t, s.crashes, 5)
	t.Logf("%d crashes in %v, %d with exit code, all mailed after %v", o.died, o.over.Round(time.Millisecond), o.reasons, o.until.Round(time.Millisecond))
}

// BenchmarkStorm is the whole of it with default settings: 1,000 crashes of 200
// processes in ten seconds, ours and a Python listener's.
func BenchmarkStorm(b *testing.B) {
	s := storm{crashes: *stormCrashes, processes: 200, over: 10 * time.Second, recovery: true}
	for b.Loop() {
		ours, theirs := s.ours(b), s.python(b)
		var f figures
		f.add("processes, crashes", fmt.Sprintf("%d, %d", s.processes, s.crashes))
		f.add("mail server takes", slowMail)
		for _, c := range []struct {
			name string
			outcome
		}{{"supernats", ours}, {"Python", theirs}} {
			f.add(c.name+": crashes", fmt.Sprintf("%d in %v", c.died, c.over.Round(time.Millisecond)))
			f.add(c.name+": mails", c.mails)
			f.add(c.name+": crashes in them", c.mailed)
			if c.name == "supernats" {
				f.add(c.name+": of them with exit code", c.reasons)
			}
			f.add(c.name+": events that supervisord dropped", c.lost)
			f.add(c.name+": last crash mailed after", c.until.Round(time.Millisecond))
			b.ReportMetric(float64(c.mails), c.name+"-mails")
			b.ReportMetric(float64(c.mailed), c.name+"-mailed")
			b.ReportMetric(float64(c.lost), c.name+"-lost")
		}
		f.record(b, fmt.Sprintf("-storm.crashes=%d", s.crashes))
		ours.check(b, s.crashes, 5)
	}
}

// TestStormOfPython sees that the comparison is one: a listener that mails by
// itself loses events of a small storm already.
func TestStormOfPython(t *testing.T) {
	needPrograms(t)
	smtp := smtptest.Serve(t, smtptest.Options{Behaviour: smtptest.Behaviour{Delay: 200 * time.Millisecond}})
	c := startCrashers(t, 40, true, pythonListener(t, smtp.Addr()))
	storm{crashes: 40, processes: 40, over: 200 * time.Millisecond}.rage(t, c)
	supervisordtest.Wait(t, 30*time.Second, func() bool { return len(smtp.Mails())+c.overflowed() >= 40 }, "40 crashes, mailed or dropped")
	if n := len(smtp.Mails()); n == 0 || c.overflowed() == 0 {
		t.Errorf("%d mails, %d events dropped", n, c.overflowed())
	}
}
