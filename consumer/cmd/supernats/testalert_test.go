package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/consumer/testalert"
	"supernats/schema"
	"supernats/schema/program"
	"supernats/schema/stream"
)

// receiver runs a queue as `supernats consume` does, until the test ends, and
// returns what comes.
func (i *installation) receiver(name string, answer error) <-chan *schema.CloudEvent[*schema.Notification] {
	i.Helper()
	got := make(chan *schema.CloudEvent[*schema.Notification], 100)
	c, err := consumer.New(consumer.Config{
		JetStream: i.js, Stream: stream.Alerts, Durable: schema.Token("notify_" + name), NewOnly: true,
		Handler: consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
			n, err := schema.Unmarshal[*schema.Notification](m.Data)
			if err != nil {
				return consumer.Park(err)
			}
			got <- n
			return answer
		}),
	})
	if err == nil {
		err = c.Create(i.Context())
	}
	if err != nil {
		i.Fatal(err)
	}
	done := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	go func() { defer close(done); _ = c.Run(ctx) }()
	i.Cleanup(func() { stop(); <-done })
	return got
}

func (i *installation) leased() {
	i.put(stream.LeasesBucket, stream.LeaseKey, stream.LeaseRecord{Instance: "box/1", Since: i.ago(time.Hour)})
}

// testAlert runs the command and returns what became of the test, without times.
func (i *installation) testAlert(want int, args ...string) (list []testalert.Outcome, errs string) {
	i.Helper()
	out, errs, code := supernats(i.T, append(append([]string{"test-alert", "-o", "json"}, args...), "--nats-url", i.url)...)
	if code != want {
		i.Errorf("%q ended with %d: %s%s", args, code, out, errs)
	}
	if out != "" {
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			i.Fatal(err)
		}
	}
	for n := range list {
		list[n].Seconds = 0
	}
	return list, errs
}

var outcomesEqual = cmp.AllowUnexported(testalert.Outcome{})

func TestTestAlert(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.leased()
	mails, chat := i.receiver("mail/ops@example.com", nil), i.receiver("chat", nil)
	other := i.receiver("mail/boss@example.com", nil)
	list, errs := i.testAlert(program.ExitDone)
	if d := cmp.Diff([]testalert.Outcome{
		{Receiver: "chat", Result: "delivered"}, {Receiver: "mail/boss@example.com", Result: "delivered"}, {Receiver: "mail/ops@example.com", Result: "delivered"},
	}, list, outcomesEqual); d != "" || errs != "" {
		t.Error(d, errs)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	n := <-mails
	a := n.Data
	if n.Type != schema.TypeAlertFiring || a.Rule != "test-alert" || a.Severity != "info" || a.Host != host || a.Notify != nil || a.Count != 1 ||
		len(a.Events) != 1 || a.Events[0].Event != "TEST" || !strings.HasPrefix(a.Annotations["summary"], "TEST: nothing is wrong (") || n.ID != a.Incident+"/1" {
		t.Errorf("%+v", a)
	}
	if again := <-chat; again.ID != n.ID {
		t.Errorf("%s and %s", n.ID, again.ID)
	}
	<-other
	// One receiver with all its addresses, one address, and how the file writes it.
	for args, want := range map[string][]string{
		"mail": {"mail/boss@example.com", "mail/ops@example.com"}, "mail/boss@example.com": {"mail/boss@example.com"}, "CHAT": {"chat"},
	} {
		var got []string
		list, _ := i.testAlert(program.ExitDone, args)
		for _, o := range list {
			got = append(got, o.Receiver)
		}
		notify := (<-chat).Data.Notify
		if d := cmp.Diff(want, got); d != "" || len(notify) != 1 || !strings.HasPrefix(args, notify[0]) {
			t.Error(d, notify)
		}
		<-mails
	}
	i.testAlert(program.ExitDone, "chat", "--resolve")
	if first, second := <-chat, <-chat; second.Type != schema.TypeAlertResolved || second.Data.Incident != first.Data.Incident || second.Data.Closed == nil || second.ID == first.ID {
		t.Errorf("%+v", second)
	}
	if out := i.run("test-alert", "chat", "-o", "table"); !strings.HasPrefix(out, "RECEIVER ") || !strings.Contains(out, "chat      delivered  0.") {
		t.Errorf("%s", out)
	}
}

func TestTestAlertThatFails(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.receiver("chat", consumer.Park(errors.New("404 Not Found")))
	i.receiver("down", errors.New("connection refused"))
	i.receiver("fine", nil)
	c, err := consumer.New(consumer.Config{JetStream: i.js, Stream: stream.Alerts, Durable: "notify_gone", NewOnly: true, Handler: consumer.HandlerFunc(func(context.Context, *consumer.Message) error { return nil })})
	if err == nil {
		err = c.Create(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	i.park("notify_fine", "supervisor.alert.x.-.-.x", 99, "an older one", nil)
	want := []testalert.Outcome{
		{Receiver: "chat", Result: "parked", Reason: "404 Not Found"},
		{Receiver: "down", Result: "pending", Reason: "1 notification waits; no `supernats consume` is active: start it"},
		{Receiver: "fine", Result: "delivered"},
		{Receiver: "gone", Result: "pending", Reason: "1 notification waits; no `supernats consume` is active: start it"},
	}
	list, errs := i.testAlert(program.ExitFailed, "--timeout", "1s")
	if d := cmp.Diff(want, list, outcomesEqual); d != "" || errs != "supernats: 3 of 4 receivers did not get the test alert\n" {
		t.Error(d, errs)
	}
	i.leased()
	want[1].Reason = "2 notifications wait; it is being tried, the log of `supernats consume` on box/1 says what happens"
	want[3].Reason = "2 notifications wait; `supernats consume` on box/1 does not read this queue: is the receiver in its configuration file?"
	list, _ = i.testAlert(program.ExitFailed, "--timeout", "1s")
	if d := cmp.Diff(want, list, outcomesEqual); d != "" {
		t.Error(d)
	}
}

// The error of a receiver is shown as soon as it is there, and not after the whole
// time.
func TestTestAlertShowsTheError(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.leased()
	i.durable(stream.Alerts, "notify_chat")
	i.put(stream.LeasesBucket, "notify_chat", stream.Position{Failures: stream.Failures{Error: "404 Not Found; check url", Tries: 2}})
	begun := time.Now()
	list, errs := i.testAlert(program.ExitFailed, "--timeout", "10m")
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	want := []testalert.Outcome{{Receiver: "chat", Result: "pending", Reason: "404 Not Found; check url (2 tries, 1 notification waits; `supernats consume` on box/1 keeps trying)"}}
	if d := cmp.Diff(want, list, outcomesEqual); d != "" || errs != "supernats: chat does not take it: 404 Not Found; check url\nsupernats: 1 of 1 receiver did not get the test alert\n" {
		t.Error(d, errs)
	}
	// It is taken before its turn, while another one is in the way.
	i.put(stream.LeasesBucket, "notify_chat", stream.Position{Failures: stream.Failures{Error: "500", Tries: 9}, Ahead: []uint64{2}})
	list, errs = i.testAlert(program.ExitDone)
	if d := cmp.Diff([]testalert.Outcome{{Receiver: "chat", Result: "delivered"}}, list, outcomesEqual); d != "" || errs != "" {
		t.Error(d, errs)
	}
}

// A test that a rate limit holds is no mystery: the limit and its end are named, here and in
// the list of alerts.
func TestTestAlertHeldByTheRateLimit(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.leased()
	until := schema.Time{Time: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
	const clock = "2006-01-02 15:04:05"
	for receiver, limit := range map[string]string{"mail/ops@example.com": "mail.rate_limit", "chat": "the rate_limit of chat"} {
		i.durable(stream.Alerts, stream.ReceiverConsumer(receiver))
		i.put(stream.LeasesBucket, stream.ReceiverConsumer(receiver), stream.Position{LimitedUntil: &until})
		hold := "held by " + limit + " until " + until.Format(clock)
		list, errs := i.testAlert(program.ExitFailed, receiver, "--timeout", "500ms")
		if len(list) != 1 || !strings.HasSuffix(list[0].Reason, "; "+hold+", then it is sent") {
			t.Errorf("%+v", list)
		}
		if want := "supernats: " + receiver + ": " + hold + "\n"; !strings.HasPrefix(errs, want) || strings.Count(errs, hold) != 1 {
			t.Errorf("said %q, want %q", errs, want)
		}
	}

	out := spaces.ReplaceAllString(i.run("alerts", "-o", "table"), "  ")
	want := "WAITING: these receivers are not notified at once, by their rate limits\n" +
		"RECEIVER  WAITING  SINCE  TRIES  ERROR\n" +
		"chat  2  -  -  held by the rate_limit of chat until " + until.Format(clock) + "\n" +
		"mail/ops@example.com  2  -  -  held by mail.rate_limit until " + until.Format(clock) + "\n"
	if !strings.HasSuffix(out, want) {
		t.Errorf("%s\nwant\n%s", out, want)
	}

	past := schema.Time{Time: time.Now().Add(-time.Second)}
	i.put(stream.LeasesBucket, "notify_chat", stream.Position{LimitedUntil: &past})
	if out := i.run("alerts", "-o", "table"); strings.Contains(out, "the rate_limit of chat") {
		t.Errorf("%s", out)
	}
}

func TestTestAlertOfNobody(t *testing.T) {
	i := newInstallation(t)
	if _, errs := i.testAlert(program.ExitFailed); !strings.Contains(errs, "there is no receiver: `supernats consume -c FILE` creates a queue for each one") {
		t.Errorf("%s", errs)
	}
	i.receiver("chat", nil)
	if _, errs := i.testAlert(program.ExitFailed, "pager"); !strings.Contains(errs, "receiver pager has no queue; those that have one: chat.") {
		t.Errorf("%s", errs)
	}
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("mail: {smarthost: 'localhost:25', from: a@example.com, to: [b@example.com]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := i.testAlert(program.ExitFailed, "-c", file); !strings.Contains(errs, "receiver mail has no queue; those that have one: chat.") {
		t.Errorf("%s", errs)
	}
	if _, errs := i.testAlert(program.ExitUsage, "--timeout", "0s"); !strings.Contains(errs, "--timeout: invalid value 0") {
		t.Errorf("%s", errs)
	}
	s, err := i.js.Stream(t.Context(), stream.Alerts)
	if err != nil || s.CachedInfo().State.Msgs != 0 {
		t.Errorf("%v: %d are sent", err, s.CachedInfo().State.Msgs)
	}
}

// From the command to the mailbox.
func TestTestAlertByMail(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	box, err := smtptest.Start(smtptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("listen: ''\nnats: {url: '"+i.url+"'}\nmail: {smarthost: '"+box.Addr()+"', tls: none, from: a@example.com, to: [b@example.com], rate_limit: {burst: 1, every: 1h}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := command(t, "consume", "-c", file)
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		if err := daemon.Wait(); err != nil {
			t.Error(err)
		}
	}()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, errs, code := supernats(t, "test-alert", "-c", file, "-o", "table")
		if code == program.ExitDone {
			if !strings.Contains(out, "mail/b@example.com  delivered") {
				t.Errorf("%s", out)
			}
			break
		}
		if time.Now().After(end) || !strings.Contains(errs, "receiver mail has no queue") {
			t.Fatalf("%s%s", out, errs)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	mails, err := box.WaitFor(ctx, 1)
	if err != nil || len(mails) != 1 || !strings.Contains(mails[0].Decoded("Subject"), "TEST") {
		t.Errorf("%v: %+v", err, mails)
	}

	// The second one is held, and the command says so as soon as it knows.
	_, errs, code := supernats(t, "test-alert", "-c", file, "--timeout", "3s")
	if want := "supernats: mail/b@example.com: held by mail.rate_limit until "; code != program.ExitFailed || !strings.HasPrefix(errs, want) {
		t.Errorf("%d %s", code, errs)
	}
}
