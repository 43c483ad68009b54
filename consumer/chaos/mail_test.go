package chaos

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"supernats/consumer/notify/mail/smtptest"
)

var mailCrashes = flag.Int("mail.crashes", 200, "crashes of each listener in BenchmarkMail, at most 999")

// mailer is a listener that mails, under a supervisord of its own.
type mailer struct {
	name string
	*crashers
	// whole says what a mail lacks that should tell why a process died.
	whole func(m smtptest.Mail, process string) error
	mails []smtptest.Mail // of each crash, by its number
}

// BenchmarkMail measures how long it takes from the death of a process until the
// mail server has taken the mail, and from when the bridge reads the event,
// against a Python listener that mails by itself. They take turns, crash by crash;
// each has a supervisord of its own, the mail server is the same. Every crash is
// one of another process, so each is a mail of its own. The server notes the time
// right before it answers.
func BenchmarkMail(b *testing.B) {
	needPrograms(b)
	for b.Loop() {
		measureMail(b, *mailCrashes)
	}
}

func measureMail(b *testing.B, n int) {
	b.Helper()
	arrived := make(chan smtptest.Mail, 10)
	smtp := smtptest.Serve(b, smtptest.Options{OnMail: func(m smtptest.Mail) { m.Received = time.Now(); arrived <- m }})
	url := startNATS(b)
	d := startDaemon(b, writeConfig(b, url, smtp, noLimit, "send_resolved: false\ngroup_interval: 1h\n"), nil)
	d.waitFor(b, saidReading)
	mailers := []*mailer{
		{name: "supernats", crashers: startCrashers(b, n, false, bridge(b, url)), whole: func(m smtptest.Mail, process string) error {
			for _, part := range []string{"exit code 3", "last words of " + process, "PROCESS_STATE_EXITED"} {
				if !strings.Contains(m.Text, part) {
					return fmt.Errorf("the mail has no %q:\n%s", part, m.Text)
				}
			}
			return nil
		}},
		{name: "Python", crashers: startCrashers(b, n, false, pythonListener(b, smtp.Addr())), whole: func(m smtptest.Mail, process string) error {
			if m.Header.Get("X-Read") == "" || !strings.Contains(m.Text, process) {
				return fmt.Errorf("the mail is\n%s", m.Data)
			}
			return nil
		}},
	}
	dice := chance(1)
	for i := range n {
		for _, m := range mailers {
			// At another moment of supervisord's rounds each time.
			time.Sleep(between(dice, 0, 300*time.Millisecond))
			m.one(b, i, arrived)
		}
	}
	js := connect(b, url)
	read := map[string]crash{}
	all, _ := crashes(b, js)
	for _, c := range all {
		read[c.process] = c
	}
	var f figures
	f.add("crashes of each", n)
	medians := map[string]float64{}
	for _, m := range mailers {
		fromRead, fromDeath := m.latencies(b, read)
		for _, l := range []struct {
			name string
			of   []float64
		}{{name: "event read to DATA answered", of: fromRead}, {name: "death to DATA answered", of: fromDeath}} {
			p50, p99 := median(l.of), quantile(l.of, 0.99)
			f.add(m.name+": "+l.name+", p50, p99", fmt.Sprintf("%.1f ms, %.1f ms", p50, p99))
			short := strings.Fields(l.name)[0]
			b.ReportMetric(p50, m.name+"-"+short+"-p50-ms")
			b.ReportMetric(p99, m.name+"-"+short+"-p99-ms")
			medians[m.name+short] = p50
		}
	}
	mailers[0].stages(&f, read, notifications(b, js))
	ahead := medians["supernatsdeath"] - medians["Pythondeath"]
	f.add("from death, how much later than Python in the median", fmt.Sprintf("%.1f ms", ahead))
	b.ReportMetric(ahead, "later-than-Python-ms")
	f.record(b, fmt.Sprintf("-mail.crashes=%d", n))
}

// one lets a process die and waits for the mail about it.
func (m *mailer) one(b *testing.B, i int, arrived <-chan smtptest.Mail) {
	b.Helper()
	process := crashName3(i)
	if err := m.crash(i); err != nil {
		b.Fatal(err)
	}
	select {
	case mail := <-arrived:
		if err := m.whole(mail, process); err != nil {
			b.Fatalf("%s, %s: %v", m.name, process, err)
		}
		m.mails = append(m.mails, mail)
	case <-time.After(30 * time.Second):
		b.Fatalf("%s: no mail about %s after 30 s", m.name, process)
	}
}

// latencies are in milliseconds. read is when the bridge read each event; Python's
// listener tells it in the mail.
func (m *mailer) latencies(b *testing.B, read map[string]crash) (fromRead, fromDeath []float64) {
	b.Helper()
	for i, mail := range m.mails {
		died := m.died(i)
		c, known := read[crashName3(i)]
		at := c.read
		if own := mail.Header.Get("X-Read"); own != "" {
			seconds, err := strconv.ParseFloat(own, 64)
			if err != nil {
				b.Fatal(err)
			}
			at, known = time.UnixMicro(int64(seconds*1e6)), true
		}
		if len(died) != 1 || !known {
			b.Fatalf("%s: process %d died %d times; its event is known: %t", m.name, i, len(died), known)
		}
		fromRead = append(fromRead, ms(mail.Received.Sub(at)))
		fromDeath = append(fromDeath, ms(mail.Received.Sub(died[0])))
	}
	return fromRead, fromDeath
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// stages tells where the time goes between the bridge and the mail server.
func (m *mailer) stages(f *figures, read map[string]crash, notes []note) {
	var bridge, rules, mail []float64
	for _, n := range notes {
		c := read[n.Data.Process]
		for i := range m.mails {
			if crashName3(i) == c.process {
				bridge = append(bridge, ms(c.stored.Sub(c.read)))
				rules = append(rules, ms(n.stored.Sub(c.stored)))
				mail = append(mail, ms(m.mails[i].Received.Sub(n.stored)))
			}
		}
	}
	for _, s := range []struct {
		name string
		of   []float64
	}{{
		name: "event read to event stored",
		of:   bridge,
	}, {
		name: "event stored to notification stored",
		of:   rules,
	}, {
		name: "notification stored to DATA answered",
		of:   mail,
	}} {
		f.add(m.name+": "+s.name+", p50, p99", fmt.Sprintf("%.1f ms, %.1f ms", median(s.of), quantile(s.of, 0.99)))
	}
}
