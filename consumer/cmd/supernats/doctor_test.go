package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/checkup"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/program"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

var numbers = regexp.MustCompile(`\d+(\.\d+)? MiB|127\.0\.0\.1:\d+|nats-server \d[^ ]*|since \S+ \S+`)

// atDefault is in what is found at the address that a file without `listen` means: there may
// be a daemon of somebody else on this machine.
const atDefault = "`supernats consume` at 127.0.0.1:8000"

// doctor runs the command and returns what it finds, a line each; fixes are
// between brackets.
func (i *installation) doctor(want int, args ...string) (lines []string) {
	i.Helper()
	out, errs, code := supernats(i.T, append([]string{"doctor", "-o", "json", "--nats-url", i.url}, args...)...)
	var list []checkup.Finding
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		i.Fatalf("%q %q: %v", out, errs, err)
	}
	failed := 0
	for _, f := range list {
		line := string(f.Status) + " " + f.Check + ": " + f.Message
		if f.Fix != "" {
			line += " [" + f.Fix + "]"
		}
		if f.Status == checkup.Fail {
			failed++
		}
		if f.Check == "ready" && strings.Contains(f.Message, atDefault) {
			continue
		}
		lines = append(lines, aSpan.ReplaceAllString(numbers.ReplaceAllString(line, "N"), "SPAN"))
	}
	said := ""
	if failed > 0 {
		said = fmt.Sprintf("supernats: %d of %d checks failed\n", failed, len(list))
	}
	if code != want || (code == program.ExitFailed) != (failed > 0) || errs != said {
		i.Errorf("it ended with %d: %q", code, errs)
	}
	return lines
}

// durable is a consumer that nobody reads.
func (i *installation) durable(streamName, name string) jetstream.Consumer {
	i.Helper()
	c, err := i.js.CreateOrUpdateConsumer(i.Context(), streamName, jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckAllPolicy})
	if err != nil {
		i.Fatal(err)
	}
	return c
}

func (i *installation) wants(what string, got []string, want ...string) {
	i.Helper()
	if d := cmp.Diff(want, got); d != "" {
		i.Errorf("%s: %s", what, d)
	}
}

// well is an installation in which nothing is wrong.
func well(t *testing.T) *installation {
	i := newInstallation(t)
	i.leased()
	i.durable(stream.Events, "supernats")
	i.durable(stream.Alerts, "notify_chat")
	i.host(schema.HostRecord{Host: "web1", BridgeVersion: "v1.2.3", LastSeen: i.ago(0), LastLoss: new(i.ago(30 * 24 * time.Hour)), Lost: 3})
	return i
}

const buckets = "ok buckets: 5 buckets"

func TestDoctorFindsNothing(t *testing.T) {
	i := well(t)
	i.wants("a good one", i.doctor(program.ExitDone),
		"ok nats: N at nats://N",
		"ok jetstream: JetStream is on and holds N",
		"ok streams: stream SUPERVISOR: 0 messages, N",
		"ok streams: stream SUPERVISOR_ALERTS: 0 messages, N",
		"ok streams: stream SUPERVISOR_PARKED: 0 messages, N",
		buckets,
		"ok consume: `supernats consume` is active on box/1 N",
		"ok events: `supernats consume` is 0 messages behind",
		"ok receivers: receiver chat: 0 notifications wait",
		"ok parked: nothing was given up",
		"ok hosts: 1 host, all seen within SPAN")
	out := i.run("doctor", "-o", "table")
	if !strings.HasPrefix(out, "ok    nats       nats-server ") || strings.Count(out, "\n") != 11 {
		t.Errorf("%s", out)
	}
}

func TestDoctorOfNothing(t *testing.T) {
	s := streamtest.Start(t)
	i := &installation{T: t, url: s.URL, js: s.JetStream()}
	got := i.doctor(program.ExitFailed)
	i.wants("nothing", got[2:8],
		"fail streams: stream SUPERVISOR is missing [start `supernats consume`: it creates what is missing]",
		"fail streams: stream SUPERVISOR_ALERTS is missing [start `supernats consume`: it creates what is missing]",
		"fail streams: stream SUPERVISOR_PARKED is missing [start `supernats consume`: it creates what is missing]",
		"fail buckets: bucket supervisor_state is missing [start `supernats consume`: it creates what is missing]",
		"fail buckets: bucket supervisor_hosts is missing [start `supernats consume`: it creates what is missing]",
		"fail buckets: bucket supervisor_alerts is missing [start `supernats consume`: it creates what is missing]")
	if err := stream.EnsureAll(t.Context(), i.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	i.wants("nobody runs", i.doctor(program.ExitFailed)[6:],
		"fail consume: no `supernats consume` is active: nobody is notified of anything [supernats consume -c FILE (as a service: systemctl start supernats)]",
		"fail events: consumer supernats of stream SUPERVISOR is missing: no `supernats consume` has ever read events [supernats consume -c FILE]",
		"warn receivers: there is no receiver: nobody is notified of anything [add a section mail: or receivers: to the configuration file of `supernats consume`]",
		"ok parked: nothing was given up",
		"warn hosts: no host is known: no supernats-bridge has started [supernats-bridge conf > /etc/supervisor/conf.d/supernats.conf && supervisorctl update]")
}

func TestDoctorWithoutNATS(t *testing.T) {
	i := &installation{T: t, url: "nats://127.0.0.1:1"}
	i.wants("no server", i.doctor(program.ExitFailed),
		"fail nats: connect to nats://N: nats: no servers available for connection [start nats-server or `supernats consume`; --nats-url, --nats-context or -c FILE say where it is]")
	i.url = streamtest.Start(t, func(o *server.Options) { o.JetStream = false }).URL
	got := i.doctor(program.ExitFailed)
	if len(got) != 2 || !strings.HasPrefix(got[1], "fail jetstream: JetStream is off: ") || !strings.Contains(got[1], "[write \"jetstream { store_dir:") {
		t.Errorf("%q", got)
	}
}

func TestDoctorSettings(t *testing.T) {
	s := streamtest.Start(t)
	i := &installation{T: t, url: s.URL, js: s.JetStream()}
	for _, c := range []jetstream.StreamConfig{
		{Name: stream.Events, Subjects: []string{stream.AllEvents}, Duplicates: time.Minute, Discard: jetstream.DiscardNew, AllowDirect: true},
		{Name: stream.Alerts, Subjects: []string{"supervisor.alert.>"}, Retention: jetstream.InterestPolicy, MaxBytes: 1 << 10},
		{Name: "KV_" + stream.MutesBucket, Subjects: []string{"$KV.supervisor_mutes.>"}, MaxMsgsPerSubject: 1, AllowDirect: true},
	} {
		if _, err := i.js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.EnsureAll(t.Context(), i.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	i.durable(stream.Alerts, "keeper") // an interest stream holds nothing without
	i.publish("supervisor.alert.a.b.c.d", make([]byte, 950))
	var got []string
	for _, line := range i.doctor(program.ExitFailed) {
		if strings.Contains(line, "streams: ") || strings.Contains(line, "buckets: ") {
			got = append(got, line)
		}
	}
	i.wants("settings", got,
		"fail streams: stream SUPERVISOR does not store supervisor.snapshot.*, supervisor.bridge.>, supervisor.ack.>, but supervisor.event.> [nats stream edit SUPERVISOR --subjects='supervisor.event.>,supervisor.snapshot.*,supervisor.bridge.>,supervisor.ack.>']",
		"warn streams: stream SUPERVISOR refuses new messages when it is full [nats stream edit SUPERVISOR --discard=old]",
		"warn streams: stream SUPERVISOR forgets after SPAN what it has stored: it may store a message twice that is sent again [nats stream edit SUPERVISOR --dupe-window=SPAN]",
		"warn streams: stream SUPERVISOR keeps ticks and snapshots as long as crashes: messages may have no time to live of their own [nats stream edit SUPERVISOR --allow-msg-ttl]",
		"warn streams: stream SUPERVISOR has no size limit: it may fill the account, and then nothing is stored any more [nats stream edit SUPERVISOR --max-bytes=4294967296 --discard=old]",
		"fail streams: stream SUPERVISOR_ALERTS drops what one consumer has read (retention Interest) [create it again with the retention policy limits]",
		"warn streams: stream SUPERVISOR_ALERTS forgets after SPAN what it has stored: it may store a message twice that is sent again [nats stream edit SUPERVISOR_ALERTS --dupe-window=SPAN]",
		"warn streams: stream SUPERVISOR_ALERTS cannot be read directly: `supernats alerts` needs it [nats stream edit SUPERVISOR_ALERTS --allow-direct]",
		"warn streams: stream SUPERVISOR_ALERTS is full and goes back no more than SPAN [nats stream edit SUPERVISOR_ALERTS --max-bytes=4096]",
		"ok streams: stream SUPERVISOR_PARKED: 0 messages, N",
		"fail buckets: bucket supervisor_mutes: its keys may have no time to live, so silences cannot expire [nats stream edit KV_supervisor_mutes --allow-msg-ttl --subject-del-markers-ttl=SPAN]",
		"ok buckets: 4 buckets")
}

func TestDoctorWarns(t *testing.T) {
	i := well(t)
	i.hosts() // web2 is silent, has lost and is old
	i.host(schema.HostRecord{Host: "a b;c", BridgeVersion: "v1.0.0", LastSeen: i.ago(0), LastLoss: new(i.ago(time.Hour)), Lost: 9})
	i.notify(schema.TypeAlertFiring, i.ago(0), schema.Notification{Incident: "a", Rule: "fatal", Host: "web1"})
	i.park("supernats", "supervisor.event.x", 1, "malformed", nil)
	i.park("notify_chat", "supervisor.alert.x.-.-.x", 1, "403", nil)
	i.park("notify_chat", "supervisor.alert.x.-.-.x", 2, "404", nil)
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("mail: {smarthost: 'localhost:25', from: a@example.com, to: [b@example.com]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.wants("warnings", i.doctor(program.ExitFailed, "-c", file)[6:],
		"ok consume: `supernats consume` is active on box/1 N",
		"ok events: `supernats consume` is 1 message behind",
		"fail receivers: receiver mail of the configuration file has no queue: it gets no notifications [restart `supernats consume` with this configuration file]",
		"warn receivers: receiver chat: 1 notification waits and nobody reads its queue [put the receiver into the configuration file again, or forget it: nats consumer rm SUPERVISOR_ALERTS notify_chat]",
		"fail parked: receiver chat did not take 2 notifications, 2 of them critical: nobody got them there; the last one SPAN ago: 404 [supernats alerts shows them; fix what the reason says: `supernats consume` tries again by itself, at its start and at least every hour]",
		"warn parked: supernats gave up 1 message, the last one SPAN ago: malformed [nats stream get SUPERVISOR_PARKED 1 shows it; when it is fixed: nats stream purge SUPERVISOR_PARKED --subject=supervisor.parked.supernats]",
		"warn hosts: host a b;c lost 9 events, the last time SPAN ago [its supervisord needs buffer_size=65536 in the section of the bridge: supernats-bridge conf; `supernats tail --host 'a b;c'` shows what fills it]",
		"warn hosts: host web2 lost 12 events, the last time SPAN ago [its supervisord needs buffer_size=65536 in the section of the bridge: supernats-bridge conf; `supernats tail --host web2` shows what fills it]",
		"warn hosts: 1 host is silent: web2 (SPAN)"+" [there: supervisorctl status, and supervisorctl tail supernats stderr; if a host is gone for good: supernats hosts forget HOST]",
		"warn hosts: bridge of an unknown version, not v1.2.3, on 1 host: old [install supernats-bridge v1.2.3 there, then: supervisorctl restart supernats]",
		"warn hosts: bridge v1.0.0, not v1.2.3, on 2 hosts: a b;c, web2 [install supernats-bridge v1.2.3 there, then: supervisorctl restart supernats]")
	out, _, _ := supernats(t, "doctor", "-o", "table", "--nats-url", i.url)
	if !strings.Contains(out, "\nwarn  receivers  receiver chat: 1 notification waits and nobody reads its queue\n              -> put the receiver into") {
		t.Errorf("%s", out)
	}
}

// A receiver that does not take what waits for it is a failure at once, and so is
// something critical that one of them did not take.
func TestDoctorOfReceivers(t *testing.T) {
	i := well(t)
	i.put(stream.LeasesBucket, stream.RosterKey, map[string]any{"receivers": []string{"chat"}})
	i.put(stream.LeasesBucket, "notify_chat", stream.Position{Failures: stream.Failures{Error: "500 Internal Server Error", Tries: 3, Since: new(i.ago(time.Minute))}})
	line := func(status, check string) string {
		for _, l := range i.doctor(map[string]int{"fail": program.ExitFailed, "ok": program.ExitDone, "warn": program.ExitDone}[status]) {
			if strings.HasPrefix(l, status+" "+check+": ") {
				return l
			}
		}
		return ""
	}
	if l := line("ok", "receivers"); l != "ok receivers: receiver chat: 0 notifications wait" {
		t.Errorf("nothing waits: %q", l)
	}
	a := schema.Notification{Incident: "a", Rule: "fatal", Host: "web1", Severity: "info"}
	i.notify(schema.TypeAlertFiring, i.ago(0), a)
	if l := line("fail", "receivers"); !strings.HasPrefix(l, "fail receivers: receiver chat: 1 notification waits, and the last try failed (3 tries N 500 Internal Server Error [fix what") || !strings.HasSuffix(l, "supernats test-alert chat (`supernats consume` keeps trying by itself)]") {
		t.Errorf("%q", l)
	}
	i.put(stream.LeasesBucket, "notify_chat", stream.Position{Ahead: []uint64{1}})
	if l := line("ok", "receivers"); l != "ok receivers: receiver chat: 0 notifications wait" {
		t.Errorf("taken before its turn: %q", l)
	}

	park := func(durable, severity string) {
		a.Severity = severity
		b, err := schema.Marshal(a.Envelope("a/1", schema.TypeAlertFiring, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		i.park(durable, a.Subject(), 1, "404", b)
	}
	park("notify_gone", "critical")
	park("notify_chat", "info")
	if l := line("warn", "parked"); !strings.HasPrefix(l, "warn parked: receiver chat did not take 1 notifications, the last one") {
		t.Errorf("%q", l)
	}
	park("notify_chat", "critical")
	if l := line("fail", "parked"); !strings.HasPrefix(l, "fail parked: receiver chat did not take 2 notifications, 1 of them critical: nobody got them there; the last one") {
		t.Errorf("%q", l)
	}
	i.put(stream.LeasesBucket, stream.RosterKey, map[string]any{"receivers": []string{}})
	if l := line("warn", "receivers"); !strings.HasPrefix(l, "warn receivers: there is no receiver: nobody is notified of anything") {
		t.Errorf("%q", l)
	}
}

// A consumer that somebody has paused is reported with its end and the command that ends
// it.
func TestDoctorPaused(t *testing.T) {
	i := well(t)
	until := time.Now().Add(time.Hour)
	for streamName, durable := range map[string]string{stream.Events: "supernats", stream.Alerts: "notify_chat"} {
		if _, err := i.js.PauseConsumer(t.Context(), streamName, durable, until); err != nil {
			t.Fatal(err)
		}
	}
	at := regexp.MustCompile(`until [^ ]+Z`)
	var paused []string
	for _, line := range i.doctor(program.ExitFailed) {
		if strings.Contains(line, "paused") {
			paused = append(paused, at.ReplaceAllString(line, "until TIME"))
		}
	}
	i.wants("two are paused", paused,
		"fail events: consumer supernats is paused until TIME: no event is read, 0 messages wait [nats consumer resume SUPERVISOR supernats]",
		"fail receivers: receiver chat: its consumer notify_chat is paused until TIME, 0 notifications wait [nats consumer resume SUPERVISOR_ALERTS notify_chat]")
}

// A configuration file with mistakes is a finding: all else is looked at with what is
// known, from the file, from flags or by default.
func TestDoctorOfAWrongConfiguration(t *testing.T) {
	i := well(t)
	rest := i.doctor(program.ExitDone)
	const fix = " [correct it, then check it: supernats rules check FILE (`supernats consume` does not start with it; one that runs keeps the configuration that it has)]"
	for text, mistakes := range map[string][]string{
		"max_age: x\nrepeat_interval: 1h\nrecievers: []\n":     {"FILE:1:10: max_age: invalid duration \"x\"", "FILE:3:1: unknown key \"recievers\""},
		"nats: {url: '" + i.url + "', replicas: 9}\nx: [\n":    {"FILE:"},
		"nats: {urls: [x]}\n":                                  {"FILE:1:"},
		"nats: {url: '" + i.url + "'}\nmail: {from: nobody}\n": {"FILE:"},
	} {
		file := natsconntest.File(t, "c.yaml", text)
		got := i.doctor(program.ExitFailed, "-c", file)
		var config []string
		for len(got) > 0 && strings.Contains(got[0], " config: ") {
			config, got = append(config, strings.ReplaceAll(got[0], file, "FILE")), got[1:]
		}
		if len(config) < len(mistakes) {
			t.Errorf("%q: %q", text, config)
			continue
		}
		for n, want := range mistakes {
			if !strings.HasPrefix(config[n], "fail config: "+want) || !strings.HasSuffix(config[n], fix) {
				t.Errorf("%q: %q\nwant %q", text, config[n], want)
			}
		}
		i.wants(text, got, rest...)
	}

	// The file alone says where NATS is.
	file := natsconntest.File(t, "c.yaml", "nats: {url: '"+i.url+"'}\nmax_age: x\n")
	out, errs, code := supernats(t, "doctor", "-o", "json", "-c", file)
	others := strings.Count(out, atDefault)
	failed := 1 + strings.Count(out, atDefault+" is not ready")
	said := fmt.Sprintf("supernats: %d of %d checks failed\n", failed, len(rest)+1+others)
	if code != program.ExitFailed || !strings.Contains(out, `"nats-server `) || !strings.Contains(out, "1 host, all seen") || errs != said {
		t.Errorf("%d %q\n%s", code, errs, out)
	}

	missing := filepath.Join(t.TempDir(), "none.yaml")
	if got := i.doctor(program.ExitFailed, "-c", missing); len(got) != len(rest)+1 || !strings.HasPrefix(got[0], "fail config: read configuration: open "+missing) {
		t.Errorf("%q", got)
	}
	if _, errs, code := supernats(t, "doctor", "-c", file, "--nats-creds", missing, "--nats-token", "x"); code != program.ExitUsage {
		t.Errorf("flags that are wrong: %d %s", code, errs)
	}
}
