package mail

import (
	"fmt"
	"io"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/letter"
	"supernats/consumer/notify/mail/letter/custom"
	"supernats/consumer/notify/mail/lettertest"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/consumer/wording"
	"supernats/schema"
)

// TestGolden sends whole mails and compares their headers with those of testdata. The
// boundary between the parts is random and not among it.
func TestGolden(t *testing.T) {
	lettertest.RunSamples(t, func(t *testing.T, name string, batch []*notification) {
		m := deliverAll(t, batch, func(r *Receiver) {
			r.now = func() time.Time { return lettertest.Happened.Add(10 * time.Minute) }
		})
		var header strings.Builder
		for _, k := range sortedFields(m.Header) {
			if k != "Content-Type" {
				fmt.Fprintf(&header, "%s: %s\n", k, m.Decoded(k))
			}
		}
		lettertest.Golden(t, name+".header", header.String())
		if m.Text == "" || m.HTML == "" {
			t.Errorf("a body is missing:\n%s", m.Data)
		}
	})
}

func sortedFields(h netmail.Header) []string {
	keys := make([]string, 0, len(h))
	for k, values := range h {
		for range values {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// TestInjection mails what a hostile process could call itself and write.
func TestInjection(t *testing.T) {
	single := sortedFields(deliver(t, firing()).Header)
	update := sortedFields(deliver(t, lettertest.Alert(
		schema.TypeAlertUpdate, "unexpected-exit", "web1", "", "a", lettertest.Exit(time.Minute, lettertest.Code(3)))).Header)
	digest := sortedFields(deliverAll(t, lettertest.Storm(2)).Header)
	for _, evil := range lettertest.Evil() {
		t.Run(wording.Clip(evil, 20), func(t *testing.T) {
			for i, fields := range [][]string{single, update, single, digest} {
				batch := lettertest.Hostile(evil)[i]
				m := deliverAll(t, batch, func(r *Receiver) {
					who := notify.Identity{Instance: evil, Version: evil}
					r.composer.version, r.composer.writer = evil, letter.NewWriter(&custom.Templates{}, who, time.UTC)
				})
				harmless(t, m, fields)
			}
		})
	}
}

// reporter is what testing.T and rapid.T have in common.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// harmless checks that nothing in a mail looks like what it is not. fields are those of
// its header. Package letter checks what is in the bodies.
func harmless(t reporter, m smtptest.Mail, fields []string) {
	t.Helper()
	if got := sortedFields(m.Header); !slices.Equal(got, fields) {
		t.Errorf("header fields %q, want %q", got, fields)
	}
	for line := range strings.SplitSeq(string(m.Data), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("illegal line: %.120q", line)
		}
	}
	header, _, _ := strings.Cut(string(m.Data), "\r\n\r\n")
	for line := range strings.SplitSeq(header, "\r\n") {
		if strings.TrimSpace(line) == "" {
			t.Errorf("header holds an empty line:\n%s", header)
		}
	}
	for _, text := range []string{m.Subject(), m.Text, m.HTML} {
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && !wording.Visible(r) }); i >= 0 {
			t.Errorf("%q is not escaped", text[i:min(len(text), i+10)])
		}
	}
	if m.To[0] != ops || len(m.To) != 1 || m.From != "supervisor@example.com" {
		t.Errorf("envelope from %q to %q", m.From, m.To)
	}
}

// TestProperty: whatever is in a batch, nothing in it begins a header.
func TestProperty(t *testing.T) {
	s := serve(t, smtptest.Options{})
	r := receiver(t, config(t, s, TLSNone))
	always := sortedFields(deliverAll(t, lettertest.Storm(2)).Header)
	sometimes := []string{
		"References", "X-Supernats-Alert", "X-Supernats-Process", "X-Supernats-Rule", "X-Supernats-Severity",
		"X-Supernats-Host", "X-Supernats-Notifications", "X-Supernats-Events",
	}
	rapid.Check(t, func(t *rapid.T) {
		batch := rapid.SliceOfN(rapid.Custom(lettertest.DrawNotification), 1, 6).Draw(t, "batch")
		if err := r.Notify(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		mails := s.Mails()
		m := mails[len(mails)-1]
		if m.Err != nil {
			t.Fatalf("%v in:\n%s", m.Err, m.Data)
		}

		fields := sortedFields(m.Header)
		harmless(t, m, fields)
		for i, f := range fields {
			if i > 0 && fields[i-1] == f || !slices.Contains(always, f) && !slices.Contains(sometimes, f) {
				t.Errorf("header field %q in %q", f, fields)
			}
		}
		for _, f := range always {
			if !slices.Contains(fields, f) && !slices.Contains(sometimes, f) {
				t.Errorf("no header field %q in %q", f, fields)
			}
		}
	})
}

// TestSize: one mail, of bearable size, however many events there are.
func TestSize(t *testing.T) {
	const logs = 64 << 10 // of all logs together
	for name, batch := range lettertest.Big() {
		t.Run(name, func(t *testing.T) {
			events := 0
			for _, n := range batch {
				events += len(n.Data.Events)
			}
			m := deliverAll(t, batch)
			if limit := 230*events + 6*logs; len(m.Data) > limit {
				t.Errorf("mail of %d bytes, want at most %d", len(m.Data), limit)
			}
		})
	}
}

// TestHostileSize: names as long as they can be, in letters that take the most
// room in a mail.
func TestHostileSize(t *testing.T) {
	long := strings.Repeat("\x00进", 100)
	batch := lettertest.Storm(100)
	for _, n := range batch {
		n.Data.Incident += long
		n.Data.Host, n.Data.Group, n.Data.Process = long, long, long
		n.Data.Annotations = map[string]string{"summary": n.ID + long, "description": strings.Repeat(n.ID+long+"\n", 100)}
		n.Data.Events[0].Exit = &schema.Exit{SpawnErr: strings.Repeat(long, 100)}
	}
	m := deliverAll(t, batch)
	t.Logf("%d bytes for each event", len(m.Data)/len(batch))
	if len(m.Data) > 10_000*len(batch) {
		t.Errorf("%d bytes for each event", len(m.Data)/len(batch))
	}
}

// TestTemplatesOfTheConfiguration: the keys of the configuration reach the letter.
func TestTemplatesOfTheConfiguration(t *testing.T) {
	s := serve(t, smtptest.Options{})
	c := config(t, s, TLSNone)
	c.Location = "Asia/Tokyo"
	c.Subject, c.Text, c.HTML = "{{.Kind}}", "{{range .Alerts}}{{.Opened}}{{end}}", "<p>{{.Supernats}}</p>"
	if err := receiver(t, c).Notify(t.Context(), batch(firing())); err != nil {
		t.Fatal(err)
	}

	m := one(t, s)
	if m.Subject() != "firing" || !strings.HasPrefix(m.Text, "2026-11-22 04:00:31.833512 +0900 JST") ||
		!strings.HasPrefix(m.HTML, "<p>mon1, version 1.2.3</p>") {
		t.Errorf("%s\n%s\n%s", m.Subject(), m.Text, m.HTML)
	}
	c.Location = "Mars/Olympus"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), `location: invalid zone "Mars/Olympus": want`) {
		t.Errorf("got %v", err)
	}
}

func TestMessageID(t *testing.T) {
	r := receiver(t, Config{Smarthost: "mail.example.com:25", From: from, To: []string{ops}}.WithDefaults())
	atext := regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]+@[A-Za-z0-9.=_-]+$`)
	seen := map[string]string{}
	for _, id := range []string{
		"", "-", "web1/a/1", "web1/a/2", "web1=2Fa=2F1", "a b", "a\r\nb", "a@b", "<a>", "a>", "\x00", "\xff", "进程",
		strings.Repeat("x", 5000), strings.Repeat("x", 5001),
	} {
		got := r.composer.messageID(id)
		if !atext.MatchString(got) || len(got) > 250 {
			t.Errorf("id %.20q gives %q", id, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("ids %.20q and %.20q both give %q", id, other, got)
		}
		if got != r.composer.messageID(id) {
			t.Errorf("id %.20q gives two", id)
		}
		seen[got] = id
	}
	for _, domain := range []string{"[192.0.2.1]", "exämple.com"} {
		r := receiver(t, Config{Smarthost: "mail.example.com:25", From: "a@" + domain, To: []string{ops}}.WithDefaults())
		if got := r.composer.messageID("x"); !atext.MatchString(got) {
			t.Errorf("domain %s gives %q", domain, got)
		}
	}
}

func TestBatchID(t *testing.T) {
	r := receiver(t, Config{Smarthost: "mail.example.com:25", From: from, To: []string{ops}}.WithDefaults())
	ids := func(list ...string) []*notification {
		var b []*notification
		for _, id := range list {
			n := firing()
			n.ID = id
			b = append(b, n)
		}
		return b
	}
	seen := map[string][]string{}
	for _, list := range [][]string{
		{"a"},
		{"b"},
		{"a", "b"},
		{"b", "a"},
		{"a", "b", "c"},
		{"ab", "c"},
		{"a", "bc"},
		{"a", "1:b"},
		{"a1:b", ""},
		{"", ""},
		{"digest.2.x"},
		{"a\r\nBcc: x", "b"},
	} {
		got := r.composer.batchID(ids(list...))
		if got != r.composer.batchID(ids(list...)) {
			t.Errorf("%q gives two", list)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q both give %q", list, other, got)
		}
		if !regexp.MustCompile(`^[A-Za-z0-9=_.-]+@example\.com$`).MatchString(got) {
			t.Errorf("%q gives %q", list, got)
		}
		seen[got] = list
	}
	if got, want := r.composer.batchID(ids("a")), r.composer.messageID("a"); got != want {
		t.Errorf("batch of one: got %s, want %s", got, want)
	}
	// And it is in the mail, the same at every try.
	s := serve(t, smtptest.Options{Behaviour: smtptest.Behaviour{Data: smtptest.Answer{Code: 451, Text: "later"}}})
	r = receiver(t, config(t, s, TLSNone))
	retryable(t, r.Notify(t.Context(), lettertest.Storm(3)), "451")
	s.Behave(smtptest.Behaviour{})
	for range 2 {
		if err := r.Notify(t.Context(), lettertest.Storm(3)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range s.Mails() {
		if got, want := m.Header.Get("Message-ID"), "<"+r.composer.batchID(lettertest.Storm(3))+">"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestThread: a digest belongs to a thread if it is about one alert.
func TestThread(t *testing.T) {
	one := deliverAll(t, batch(lettertest.Crash("web1", "a", "a", 0, nil), lettertest.Recovered("web1", "a", "a", time.Second, 1)))
	if got, want := one.Header.Get("References"), deliver(t, lettertest.Crash("web1", "a", "a", 0, nil)).Header.Get("References"); got != want || got == "" {
		t.Errorf("of one alert: %q, want %q", got, want)
	}
	if got := one.Header.Get("X-Supernats-Notification"); got != "firing, resolved" {
		t.Errorf("X-Supernats-Notification %q", got)
	}
	if got := deliverAll(t, lettertest.Storm(2)).Header.Get("References"); got != "" {
		t.Errorf("of two: %q", got)
	}
}

// TestTooBig: a mail that the server will not take is refused for good, whether
// the server says so before or after, and half of it passes.
func TestTooBig(t *testing.T) {
	s := serve(t, smtptest.Options{MaxBytes: 100_000})
	r := receiver(t, config(t, s, TLSNone))
	err := r.Notify(t.Context(), lettertest.Storm(1000))
	if !notify.IsPermanent(err) {
		t.Errorf("not permanent: %v", err)
	}
	mustContain(t, fmt.Sprint(err), "bigger than the 100000 bytes", s.Addr(), ops)
	for part := range slices.Chunk(lettertest.Storm(1000), 250) {
		if err := r.Notify(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range s.Mails() {
		if len(m.Data) > 100_000 || len(m.Data) < 40_000 {
			t.Errorf("mail of %d bytes", len(m.Data))
		}
	}
	s = serve(t, smtptest.Options{Behaviour: smtptest.Behaviour{Data: smtptest.Answer{Code: 552, Text: "message too big"}}})
	err = receiver(t, config(t, s, TLSNone)).Notify(t.Context(), lettertest.Storm(3))
	if !notify.IsPermanent(err) {
		t.Errorf("not permanent: %v", err)
	}
	mustContain(t, fmt.Sprint(err), "552", "message too big", "how big a mail may be")
}

func TestNoData(t *testing.T) {
	r := receiver(t, Config{Smarthost: "127.0.0.1:1", TLS: TLSNone, From: from, To: []string{ops}}.WithDefaults())
	for name, b := range map[string][]*notification{
		"empty": nil, "nil": batch(firing(), nil), "without data": batch(firing(), &notification{ID: "x"}),
	} {
		if err := r.Notify(t.Context(), b); !notify.IsPermanent(err) {
			t.Errorf("%s: not permanent: %v", name, err)
		}
	}
}

// BenchmarkMessage renders and encodes digests: each event an alert of its own,
// as in a storm, and 500 in each, as in crash loops.
func BenchmarkMessage(b *testing.B) {
	r := receiver(b, Config{Smarthost: "mail.example.com:25", From: from, To: []string{ops}}.WithDefaults())
	loops := func(n int) []*notification {
		list := lettertest.Storm(n / 500)
		for _, l := range list {
			l.Data.Count, l.Data.Events = 500, slices.Repeat(l.Data.Events, 500)
		}
		return list
	}
	for _, tc := range []struct {
		name  string
		batch []*notification
	}{
		{name: "alerts=1000/events=1000", batch: lettertest.Storm(1000)},
		{name: "alerts=10000/events=10000", batch: lettertest.Storm(10_000)},
		{name: "alerts=2/events=1000", batch: loops(1000)},
		{name: "alerts=20/events=10000", batch: loops(10_000)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			var size int64
			for b.Loop() {
				m, err := r.composer.message(tc.batch, r.now())
				if err != nil {
					b.Fatal(err)
				}
				if size, err = m.WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size), "mail-bytes")
		})
	}
}
