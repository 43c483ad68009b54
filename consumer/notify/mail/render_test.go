package mail

import (
	"fmt"
	"io"
	"math"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"supernats/consumer/notify/mail/smtptest"
	"supernats/consumer/wording"
	"supernats/schema"
)

func TestSubject(t *testing.T) {
	event := func(name string, x *schema.Exit) func(*schema.Notification) {
		return func(a *schema.Notification) { a.Events[0].Event, a.Events[0].Exit = name, x }
	}
	rule := func(name string) func(*schema.Notification) { return func(a *schema.Notification) { a.Rule = name } }
	host := func(a *schema.Notification) { a.Group, a.Process, a.Events = "", "", nil }
	of := func(typ string, n *schema.CloudEvent[*schema.Notification]) *schema.CloudEvent[*schema.Notification] {
		n.Type = typ
		return n
	}
	lost := func(a *schema.Notification) {
		a.Events = []schema.AlertEvent{{Event: "supernats.bridge.loss", Lost: 3, Cause: schema.LossNotListening}}
	}
	trouble := func(a *schema.Notification) {
		a.Events = []schema.AlertEvent{{Event: wording.EventTrouble, Cause: "disk-full", Text: "3 MiB are left", Fix: "make room"}}
	}
	reasoned := func(a *schema.Notification) { a.Annotations = map[string]string{"reason": "its bridge was stopped"} }
	endedBy := func(why string) func(*schema.Notification) { return func(a *schema.Notification) { a.Ended = why } }
	five := func(a *schema.Notification) {
		a.Count, a.Events = 5, slices.Repeat(a.Events, 5)
		a.Events[4].Exit = code(4)
	}
	for _, tc := range []struct {
		n    *schema.CloudEvent[*schema.Notification]
		want string
	}{
		{firing(), "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly (exit code 3)"},
		{firing(event(schema.ProcessStateExited, nil)), "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly"},
		{firing(event(schema.ProcessStateExited, &schema.Exit{})), "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly"},
		{firing(event(schema.ProcessStateExited, code(0))), "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly (exit code 0)"},
		{firing(event(schema.ProcessStateExited, &schema.Exit{Signal: "SIGKILL"})), "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly (SIGKILL)"},
		{firing(event(schema.ProcessStateExited, &schema.Exit{Signal: "SIGSEGV", Core: true})), "[supervisor] CRITICAL web1 api:api_00 crashed (SIGSEGV, core dumped)"},
		{firing(event(schema.ProcessStateExited, &schema.Exit{Core: true})), "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly (core dumped)"},
		{firing(func(a *schema.Notification) { a.Process = "api" }), "[supervisor] CRITICAL web1 api exited unexpectedly (exit code 3)"},
		{firing(event(schema.ProcessStateFatal, nil)), "[supervisor] CRITICAL web1 api:api_00 is FATAL, gave up starting it"},
		{
			firing(event(schema.ProcessStateFatal, &schema.Exit{SpawnErr: "can't find command '/opt/api'"})),
			"[supervisor] CRITICAL web1 api:api_00 is FATAL (spawn error: can't find...",
		},
		{firing(event(schema.ProcessStateFatal, code(1))), "[supervisor] CRITICAL web1 api:api_00 is FATAL (exit code 1)"},
		{firing(event(schema.ProcessLogStderr, nil), rule("oom")), "[supervisor] CRITICAL web1 api:api_00 wrote to stderr (rule oom)"},
		{firing(event("PROCESS_SPLIT", nil), rule("odd")), "[supervisor] CRITICAL web1 api:api_00 alert odd by PROCESS_SPLIT"},
		{firing(host, rule("host-silent")), "[supervisor] CRITICAL web1 is silent, its bridge sends nothing"},
		{firing(host, rule("loss")), "[supervisor] CRITICAL web1 has lost events"},
		{firing(host, rule("loss"), lost), "[supervisor] CRITICAL web1 has lost at least 3 events (supervisord did not..."},
		{firing(host, rule("bridge-trouble"), trouble), "[supervisor] CRITICAL web1 is in trouble (disk-full: 3 MiB are left)"},
		{of(schema.TypeAlertResolved, firing(host, rule("bridge-trouble"))), "[supervisor] RESOLVED web1 is out of trouble: open for 0s, 1 event"},
		{firing(host, rule("host-silent"), reasoned), "[supervisor] CRITICAL web1 is silent, its bridge was stopped"},
		{firing(event(schema.ProcessStateUnknown, nil), rule("unknown")), "[supervisor] CRITICAL web1 api:api_00 is in state UNKNOWN"},
		{firing(host, rule("odd")), "[supervisor] CRITICAL web1 alert odd"},
		{firing(five), "[supervisor] CRITICAL web1 api:api_00 crashed (exit 4) (and 4 more)"},
		// A notification that holds fewer events than it is about.
		{firing(func(a *schema.Notification) { a.Count = 300 }), "[supervisor] CRITICAL web1 api:api_00 crashed (exit 3) (and 299 more)"},
		{of(schema.TypeAlertUpdate, firing(five, func(a *schema.Notification) { a.Count = 70 })), "[supervisor] CRITICAL UPDATE web1 api:api_00 crashed (exit 4) (and 4 more)"},
		{of(schema.TypeAlertResolved, firing(func(a *schema.Notification) { a.Events = nil })), "[supervisor] RESOLVED web1 api:api_00 has recovered: open for 0s, 1 event"},
		{
			of(schema.TypeAlertResolved, firing(func(a *schema.Notification) {
				a.Events, a.Annotations = nil, map[string]string{"reason": "it was stopped"}
			})),
			"[supervisor] RESOLVED web1 api:api_00 needs no more attention (it was...",
		},
		{of(schema.TypeAlertResolved, firing(host, rule("host-silent"))), "[supervisor] RESOLVED web1 is reporting again: open for 0s"},
		{of(schema.TypeAlertResolved, firing(host, rule("host-silent"), reasoned, endedBy(schema.EndedForgotten))), "[supervisor] RESOLVED web1 was forgotten: open for 0s"},
		{of(schema.TypeAlertResolved, firing(host, rule("host-silent"), reasoned, endedBy(schema.EndedRule))), "[supervisor] RESOLVED web1 is not watched any more (its rule was removed)..."},
		{of(schema.TypeAlertResolved, firing(endedBy(schema.EndedForgotten))), "[supervisor] RESOLVED web1 api:api_00 needs no more attention (the host was..."},
	} {
		if got, _ := words(batch(tc.n)); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

// TestGolden sends whole mails and compares what a reader sees. The boundary
// between the parts is random and not among it.
func TestGolden(t *testing.T) {
	closed := schema.Time{Time: happened.Add(5 * time.Minute)}
	crashed := firing(func(a *schema.Notification) {
		a.Events[0].Log = &schema.Log{
			Stdout: "listening on :8080\n",
			Stderr: "Traceback (most recent call last):\n  File \"api.py\", line 3\n\tresult = 1 / 0\n\x1b[31mZeroDivisionError\x1b[0m: division by zero – 进程退出\n",
		}
	})
	several := firing(func(a *schema.Notification) {
		a.Count = 7
		a.Events = []schema.AlertEvent{
			{ID: "web1/b/1", Time: schema.Time{Time: happened.Add(-2 * time.Hour)}, Event: schema.ProcessStateExited, PID: 11, Exit: code(3)},
			{ID: "web1/b/2", Time: schema.Time{Time: happened.Add(-time.Hour)}, Event: schema.ProcessStateExited, PID: 12, Log: &schema.Log{Stderr: "out of memory"}},
			{ID: "web1/b/3", Time: schema.Time{Time: happened.Add(-30 * time.Minute)}, Event: schema.ProcessStateFatal, FromState: "BACKOFF", Server: "supervisor", Exit: &schema.Exit{SpawnErr: "can't find command 'api'"}},
		}
		a.Opened = a.Events[0].Time
		a.Labels["team"] = "payments"
		a.Annotations = map[string]string{"runbook": "https://wiki.example.com/api?x=1&y=2"}
	})
	resolved := firing(func(a *schema.Notification) { a.Events, a.Closed, a.Count = nil, &closed, 3 })
	resolved.Type = schema.TypeAlertResolved
	silent := firing(func(a *schema.Notification) {
		a.Rule, a.Group, a.Process, a.Events, a.Labels = "host-silent", "", "", nil, nil
	})
	quorum := note(schema.TypeAlertFiring, 1, schema.Notification{
		Rule: "api-quorum", Host: "web1", Group: "api", Annotations: map[string]string{
			"summary":     "fewer than 7 of 8 are running",
			"description": "Customers wait.\nRunbook: https://wiki.example.com/api",
		},
	})
	again := note(schema.TypeAlertUpdate, 2, schema.Notification{
		Rule: "unexpected-exit", Host: "web1", Group: "api", Count: 4, Annotations: map[string]string{"summary": "api is shaky"},
		Events: []schema.AlertEvent{
			of(exit(time.Minute, code(3)), "", "", "api_00"), of(exit(2*time.Minute, code(3)), "", "", "api_01"),
			of(exit(3*time.Minute, &schema.Exit{Signal: "SIGKILL"}), "", "", "api_01"),
		},
	})
	for _, tc := range []struct {
		name  string
		batch []*notification
	}{
		{"exit", batch(crashed)},
		{"several", batch(several)},
		{"resolved", batch(resolved)},
		{"silent", batch(silent)},
		{"digest", mixed()},
		{"quorum", batch(quorum)},
		{"update", batch(again)},
		{"memory", batch(hungry())},
		{"memories", hungryMany()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := deliverAll(t, tc.batch, func(r *Receiver) { r.now = func() time.Time { return happened.Add(10 * time.Minute) } })
			var header strings.Builder
			for _, k := range sortedFields(m.Header) {
				if k != "Content-Type" {
					fmt.Fprintf(&header, "%s: %s\n", k, m.Decoded(k))
				}
			}
			golden(t, tc.name+".header", header.String())
			golden(t, tc.name+".txt", m.Text)
			golden(t, tc.name+".html", m.HTML)
		})
	}
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
	fields := sortedFields(deliver(t, firing()).Header)
	updateFields := sortedFields(deliver(t, alertOf(schema.TypeAlertUpdate, "unexpected-exit", "web1", "", "a", exit(time.Minute, code(3)))).Header)
	digestFields := sortedFields(deliverAll(t, storm(2)).Header)
	long := strings.Repeat("x", 100_000)
	for _, evil := range []string{
		"x\r\nBcc: victim@example.org\r\n\r\n<b>hi</b>",
		"x\nBcc: victim@example.org", "x\rBcc: victim@example.org", "x\r\n.\r\nMAIL FROM:<a@b>",
		"x\u2028Bcc: y\u0085z\x0bw\x0c", "\x00\x1b[2J\x07\x7f\xff\xfe",
		"<script>alert(1)</script>", `"><img src=http://evil.example/x.png>`, "</pre><a href='javascript:x'>",
		"=?utf-8?q?=0D=0ABcc:_victim@example.org?=", "Subject: root", "\u202eevil\u2066",
		strings.Repeat(" ", 500) + "end", strings.Repeat("进", 5000), strings.Repeat("\r\n", 5000), long,
		"{{.Secret}}", "a.*>b", "进程 退出", "--help", "$(reboot)`reboot`'\"",
	} {
		name := wording.Clip(evil, 20)
		t.Run(name, func(t *testing.T) {
			hostile := func(typ string, change ...func(*schema.Notification)) *notification {
				n := firing(append([]func(*schema.Notification){func(a *schema.Notification) {
					a.Host, a.Group, a.Process, a.Rule, a.Severity, a.Incident = evil, evil, evil, evil, evil, evil
					a.Labels, a.Annotations = map[string]string{"address": evil, evil: evil}, map[string]string{evil: evil}
					ev := &a.Events[0]
					ev.ID, ev.Server, ev.FromState = evil, evil, evil
					ev.Exit = &schema.Exit{SpawnErr: evil}
					if typ == schema.TypeAlertUpdate {
						ev.Exit = &schema.Exit{Signal: evil, OOM: &schema.OOM{Cgroup: evil, Limit: 1, Peak: math.MaxUint64}}
						ev.Ran, ev.Last = new(-1.0), &schema.Look{RSS: math.MaxUint64, CPU: math.MaxFloat64, Threads: -1, Descriptors: math.MinInt}
					}
					ev.Log = &schema.Log{Stdout: evil, Stderr: evil}
				}}, change...)...)
				n.ID, n.Type = evil, typ
				return n
			}
			hostiles := func(a *schema.Notification) {
				a.Incident, a.Process = evil+"2", ""
				a.Events = slices.Repeat(a.Events, 3)
				a.Events[1].Host, a.Events[2].Process, a.Events[2].Event = evil, evil, evil
				a.Annotations = map[string]string{"summary": evil, "description": evil}
			}
			who := func(r *Receiver) { r.identity = Identity{Instance: evil, Version: evil} }
			single := batch(hostile(schema.TypeAlertFiring))
			harmless(t, single, deliverAll(t, single, who), fields)
			single = batch(hostile(schema.TypeAlertUpdate))
			harmless(t, single, deliverAll(t, single, who), updateFields)
			words := batch(hostile("evil", hostiles))
			harmless(t, words, deliverAll(t, words, who), fields)
			digest := batch(single[0], words[0], hostile(schema.TypeAlertUpdate, hostiles), hostile(schema.TypeAlertResolved))
			harmless(t, digest, deliverAll(t, digest, who), digestFields)
		})
	}
}

// title is every line of a text that is not indented, but the first.
var title = regexp.MustCompile(`^(Last lines of (stderr|stdout)( of .*)?:|To investigate:|Summary:|Events:|Since the last mail:|Not told before:|Late: .* NATS could be reached\.|(Firing|Update|Resolved): .*, \d+ alerts?)$`)

// reporter is what testing.T and rapid.T have in common.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// harmless checks that nothing in a mail looks like what it is not. fields are
// those of its header.
func harmless(t reporter, batch []*notification, m smtptest.Mail, fields []string) {
	t.Helper()
	if got := sortedFields(m.Header); !slices.Equal(got, fields) {
		t.Errorf("header fields %q, want %q", got, fields)
	}
	for line := range strings.SplitSeq(string(m.Data), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("line is no legal one: %.120q", line)
		}
	}
	header, _, _ := strings.Cut(string(m.Data), "\r\n\r\n")
	for line := range strings.SplitSeq(header, "\r\n") {
		if strings.TrimSpace(line) == "" {
			t.Errorf("header holds an empty line:\n%s", header)
		}
	}
	subject := m.Subject()
	if n := utf8.RuneCountInString(subject); n > maxSubjectWidth || !strings.HasPrefix(subject, "[supervisor] ") {
		t.Errorf("subject of %d characters: %.300s", n, subject)
	}
	for _, text := range []string{subject, m.Text, m.HTML} {
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && !wording.Visible(r) }); i >= 0 {
			t.Errorf("%q is not escaped", text[i:min(len(text), i+10)])
		}
	}
	// The elements of the page are those of the template and no others.
	for _, tag := range regexp.MustCompile(`<[^>]*>`).FindAllString(m.HTML, -1) {
		if !regexp.MustCompile(`^</?(!DOCTYPE|html|head|meta|title|style|body|p|br|strong|span|b|i|h2|blockquote|ul|li|div|table|tr|td|pre)\b`).MatchString(tag) || strings.Contains(tag, "evil") {
			t.Errorf("HTML holds %q", tag)
		}
	}
	// Every line of the text is ours: a log and a list are indented.
	_, first := words(batch)
	for line := range strings.SplitSeq(m.Text, "\n") {
		if line != "" && !strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, " * ") && !title.MatchString(line) && line != first {
			t.Errorf("text holds the line %q", line)
		}
	}
	if m.To[0] != ops || len(m.To) != 1 || m.From != "supervisor@example.com" {
		t.Errorf("envelope from %q to %q", m.From, m.To)
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
		got := r.messageID(id)
		if !atext.MatchString(got) || len(got) > 250 {
			t.Errorf("id %.20q gives %q", id, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("ids %.20q and %.20q both give %q", id, other, got)
		}
		if got != r.messageID(id) {
			t.Errorf("id %.20q gives two", id)
		}
		seen[got] = id
	}
	for _, domain := range []string{"[192.0.2.1]", "exämple.com"} {
		r := receiver(t, Config{Smarthost: "mail.example.com:25", From: "a@" + domain, To: []string{ops}}.WithDefaults())
		if got := r.messageID("x"); !atext.MatchString(got) {
			t.Errorf("domain %s gives %q", domain, got)
		}
	}
}

func TestCommand(t *testing.T) {
	if got, want := command(batch(firing())), "supernats replay --host web1 --process api_00 --since 2026-11-21T18:50:31Z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkBodies(b *testing.B) {
	n := firing(func(a *schema.Notification) {
		a.Events[0].Log = &schema.Log{Stderr: strings.Repeat("a line of some length in a log\n", 128)}
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := render(batch(n), &templates{}, identity, happened); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMessage renders and encodes digests: each event an alert of its own,
// as in a storm, and 500 in each, as in crash loops.
func BenchmarkMessage(b *testing.B) {
	r := receiver(b, Config{Smarthost: "mail.example.com:25", From: from, To: []string{ops}}.WithDefaults())
	loops := func(n int) []*notification {
		list := storm(n / 500)
		for _, l := range list {
			l.Data.Count, l.Data.Events = 500, slices.Repeat(l.Data.Events, 500)
		}
		return list
	}
	for _, tc := range []struct {
		name  string
		batch []*notification
	}{
		{"alerts=1000/events=1000", storm(1000)},
		{"alerts=10000/events=10000", storm(10_000)},
		{"alerts=2/events=1000", loops(1000)},
		{"alerts=20/events=10000", loops(10_000)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			var size int64
			for b.Loop() {
				m, err := r.message(tc.batch)
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
