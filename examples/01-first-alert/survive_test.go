package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// Mail server, names, NATS and disk are all gone when supervisord starts both
// programs: neither exits, and when things come one after the other nothing is
// missing.
func TestEverythingIsAway(t *testing.T) {
	nats := streamtest.Start(t)
	nats.Stop()
	dir := supervisordtest.Dir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	config := func(smarthost string) {
		t.Helper()
		text := fmt.Sprintf("nats: {url: %q}\nmail: {smarthost: %q, tls: none, from: a@example.com, to: [b@example.com]}\n",
			"nats://nats.invalid:4222,"+nats.URL, smarthost)
		if err := os.WriteFile(path("supernats.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config("smtp.invalid:25")
	if err := os.WriteFile(path("disk"), nil, 0o600); err != nil { // in the way of a directory
		t.Fatal(err)
	}
	if err := supervisordtest.WriteConf(dir, "supervisor", fmt.Sprintf(`
[program:crash]
command=sh -c "exit 3"
startsecs=0
autorestart=false

[program:consume]
command=%s/supernats consume -c %s

[eventlistener:supernats]
command=%[1]s/supernats-bridge --host web1 --nats-url nats://nats.invalid:4222,%[3]s --spool-dir %[4]s
events=EVENT
buffer_size=65536
startsecs=0
stdout_logfile=NONE
`, bin, path("supernats.yaml"), nats.URL, path("disk/spool"))); err != nil {
		t.Fatal(err)
	}
	s := supervisordtest.StartIn(t, dir)
	pids := func() string {
		out, _ := s.Ctl("pid", "consume", "supernats:supernats")
		return out
	}
	log := func(name string) string {
		files, _ := filepath.Glob(path(name + "-stderr*"))
		var text strings.Builder
		for _, f := range files {
			b, _ := os.ReadFile(f)
			text.Write(b)
		}
		return text.String()
	}
	s.WaitLog(t, "success: supernats", 1)
	s.WaitLog(t, "success: consume", 1)
	before := pids()
	if err := s.SendRemote("n", "0", "1", "2"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	same := func(when string) {
		t.Helper()
		if now := pids(); now != before {
			t.Fatalf("%s the programs have pids %q, they had %q", when, now, before)
		}
	}
	same("With everything away")
	if n := strings.Count(log("supernats"), "the spool cannot be used"); n != 1 {
		t.Errorf("the bridge says %d times that it has no spool:\n%s", n, log("supernats"))
	}
	if text := log("consume"); strings.Count(text, "NATS is not connected") != 1 {
		t.Errorf("the consumer does not say once that it has no NATS:\n%s", text)
	}

	if err := os.Remove(path("disk")); err != nil {
		t.Fatal(err)
	}
	supervisordtest.Wait(t, 30*time.Second, func() bool {
		_, err := os.Stat(path("disk/spool/lock"))
		return err == nil && strings.Contains(log("supernats"), "connect to NATS")
	}, "the spool, and word of NATS")
	nats.Restart()
	supervisordtest.Wait(t, 60*time.Second, func() bool { return strings.Contains(log("consume"), "smtp.invalid") },
		"word of the mail server")
	same("Without a mail server")

	smtp, err := smtptest.Start(smtptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer smtp.Close()
	config(smtp.Addr())
	s.MustCtl(t, "restart", "consume")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	mails, err := smtp.WaitFor(ctx, 1)
	if err != nil {
		t.Fatalf("%v\n%s", err, log("consume"))
	}
	if subject := withoutLife(mails[0].Subject()); subject != "[supervisor] CRITICAL web1 crash exited unexpectedly (exit code 3)" {
		t.Errorf("the mail is %q", subject)
	}
	events, err := nats.JetStream().Stream(ctx, stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	first, err := events.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(stream.AllEvents))
	if err != nil {
		t.Fatal(err)
	}
	if ce, err := codec.UnmarshalEvent(first.Data); err != nil || ce.Data.PoolSerial != 0 {
		t.Errorf("%v: the first event is %s", err, first.Data)
	}
	last, err := events.GetLastMsgForSubject(ctx, schema.Subject{
		Host: "web1", Event: schema.RemoteCommunication, Type: "n",
	}.String())
	if err != nil {
		t.Fatal(err)
	}
	if ce, err := codec.UnmarshalEvent(last.Data); err != nil || *ce.Data.Data != "2" {
		t.Errorf("%v: the last event is %s", err, last.Data)
	}
	if m, err := events.GetLastMsgForSubject(ctx, schema.BridgeSubject("web1", schema.BridgeLoss)); err == nil {
		t.Errorf("a loss is reported: %s", m.Data)
	}
}
