package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/config"
	"supernats/consumer/intake/machine"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/program"
	"supernats/schema/stream"
)

// takeAcks does with acknowledgements what the daemon does: the alerts of a machine in which
// two processes have crashed are stored, and again after each message.
func (i *installation) takeAcks() {
	i.Helper()
	cfg := config.Default()
	set, err := cfg.CompileRules()
	if err != nil {
		i.Fatal(err)
	}
	m := machine.New(set, state.DefaultLimits())
	kv, err := i.js.KeyValue(i.Context(), stream.AlertsBucket)
	if err != nil {
		i.Fatal(err)
	}
	apply := func(subject string, data []byte, seq uint64) {
		in := &consumer.Message{Subject: subject, Data: data, Seq: seq, Stored: time.Now()}
		if err := m.Apply(in, time.Time{}); err != nil {
			i.Error(err)
		}
		for _, c := range m.Engine.Changed() {
			b, err := schema.Marshal(c.Record)
			if err != nil {
				i.Error(err)
			}
			if _, err := kv.Put(i.Context(), c.Key, b); err != nil {
				i.Error(err)
			}
		}
	}
	for n, name := range []string{"api_00", "api_01"} {
		e := &schema.Event{
			Event: schema.ProcessStateExited, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3",
			Serial: uint64(n + 1), Group: "api", Process: name, Expected: new(false),
		}
		data, err := schema.Marshal(e.Envelope(time.Now()))
		if err != nil {
			i.Fatal(err)
		}
		apply(e.Subject(), data, uint64(n+1))
	}

	acks, err := i.js.OrderedConsumer(i.Context(), stream.Events, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{stream.AllAcks},
	})
	if err != nil {
		i.Fatal(err)
	}
	reading, err := acks.Consume(func(m jetstream.Msg) {
		if meta, err := m.Metadata(); err != nil {
			i.Error(err)
		} else {
			apply(m.Subject(), m.Data(), meta.Sequence.Stream)
		}
	})
	if err != nil {
		i.Fatal(err)
	}
	i.Cleanup(reading.Stop)
}

// People acknowledge an alert by its id, or by what tells it from the others; `alerts` shows
// who takes care of it.
func TestAckAndUnack(t *testing.T) {
	i := newInstallation(t)
	i.takeAcks()
	out := i.run("ack", "web1/api:api_00", "--reason", "rolling back", "--for", "8h", "--author", "ann", "-o", "table")
	if !strings.HasPrefix(out, "unexpected-exit web1 api:api_00: acknowledged by ann until ") {
		t.Errorf("printed %s", out)
	}
	if out := i.run("alerts", "-o", "table"); !strings.Contains(out, "ACKNOWLEDGED") || !strings.Contains(out, "ann until ") {
		t.Errorf("alerts printed\n%s", out)
	}
	const id = "unexpected-exit/web1/4f0c6d1e2a90b7c3/1"
	var list []schema.Alert
	if err := json.Unmarshal([]byte(i.run("ack", id, "--reason", "still", "-o", "json")), &list); err != nil || len(list) != 1 ||
		list[0].Acknowledged == nil || list[0].Acknowledged.Reason != "still" || list[0].Acknowledged.Until != nil {
		t.Errorf("%+v, %v", list, err)
	}
	if out := i.run("ack", id, "--reason", "mine now", "--author", "bob", "-o", "table"); !strings.Contains(out, "; before, by ") || !strings.Contains(out, ": still\n") {
		t.Errorf("printed %s", out)
	}
	if out := i.run("unack", id, "-o", "table"); !strings.Contains(out, "nobody takes care of it any more") {
		t.Errorf("printed %s", out)
	}

	for _, c := range []struct {
		name, says string
		args       []string
		code       int
	}{
		{name: "without a reason", args: []string{"ack", id}, code: program.ExitUsage, says: "--reason is missing"},
		{name: "for too long", args: []string{"ack", id, "--reason", "x", "--for", "31d"}, code: program.ExitUsage, says: "at most 30d"},
		{name: "too long a name", args: []string{"ack", id, "--reason", "x", "--author", strings.Repeat("x", 257)}, code: program.ExitUsage, says: "author: 257 bytes"},
		{name: "nobody has acknowledged it", args: []string{"unack", id}, code: program.ExitFailed, says: "nobody has acknowledged"},
		{name: "two alerts", args: []string{"ack", "web1", "--reason", "x"}, code: program.ExitFailed, says: "web1 means 2 open alerts: name one of " + id},
		{name: "no such alert", args: []string{"ack", "web9", "--reason", "x"}, code: program.ExitFailed, says: "no open alert web9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errs, code := supernats(t, append(c.args, "--nats-url", i.url)...)
			if code != c.code || !strings.Contains(errs, c.says) {
				t.Errorf("%d %s, want %d with %q", code, errs, c.code, c.says)
			}
		})
	}
}

// A stream that somebody else has made is not changed: ack and doctor print what changes it.
func TestAckOfAStreamWithoutItsSubject(t *testing.T) {
	i := newInstallation(t)
	i.takeAcks()
	s, err := i.js.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.Description = "ours"
	c.Subjects = []string{stream.AllEvents, "supervisor.snapshot.>", stream.AllBridges, "orders.*"}
	if _, err := i.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), i.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}

	const fix = "nats stream edit SUPERVISOR --subjects='supervisor.event.>,supervisor.snapshot.>,supervisor.bridge.>,orders.*,supervisor.ack.>'"
	_, errs, code := supernats(t, "ack", "web1/api:api_00", "--reason", "x", "--nats-url", i.url)
	if code != program.ExitFailed || !strings.Contains(errs, "does not store supervisor.ack.>: `"+fix+"`") {
		t.Errorf("%d %s", code, errs)
	}
	lines := i.doctor(program.ExitFailed)
	if !slices.ContainsFunc(lines, func(l string) bool {
		return strings.Contains(l, "SUPERVISOR does not store supervisor.ack.>, but") && strings.Contains(l, fix)
	}) {
		t.Errorf("doctor printed\n%s", strings.Join(lines, "\n"))
	}
}

// What does not name one open alert is refused, with what to run.
func TestAckOfNoOpenAlert(t *testing.T) {
	i := newInstallation(t)
	acked := &schema.Acknowledgement{By: "ann", Reason: "rolling back", Since: at(0)}
	for host, phase := range map[string]string{"web1": schema.PhaseFiring, "web10": schema.PhaseFiring, "db": schema.PhaseResolved, "soon": schema.PhasePending} {
		i.alert(schema.Alert{Incident: "host-silent/" + host + "/1", Rule: "host-silent", Host: host, Phase: phase, Opened: at(0)})
	}
	for n := range 15 {
		i.alert(schema.Alert{Incident: fmt.Sprintf("many/h%02d/1", n), Rule: "many", Host: fmt.Sprintf("h%02d", n), Phase: schema.PhaseFiring, Opened: at(0), Acknowledged: acked})
	}
	long := strings.Repeat("x", 1025)
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{name: "an empty name", args: []string{"ack", "", "--reason", "x"}, code: program.ExitUsage, says: "no alert is named: `supernats alerts` lists them"},
		{name: "blanks", args: []string{"unack", " "}, code: program.ExitUsage, says: "no alert is named"},
		{name: "no name", args: []string{"ack", "--reason", "x"}, code: program.ExitUsage, says: `expected "<alert>"`},
		{name: "a blank reason", args: []string{"ack", "web1", "--reason", " "}, code: program.ExitUsage, says: "--reason is missing"},
		{name: "a long reason", args: []string{"ack", "web1", "--reason", long}, code: program.ExitUsage, says: "reason: 1025 bytes: want at most 1024"},
		{name: "no time", args: []string{"ack", "web1", "--reason", "x", "--for", "0"}, code: program.ExitUsage, says: "--for: invalid"},
		{name: "zero seconds", args: []string{"ack", "web1", "--reason", "x", "--for", "0s"}, code: program.ExitUsage, says: "--for: invalid value 0s: want a duration above zero"},
		{name: "time that is over", args: []string{"ack", "web1", "--reason", "x", "--for=-1h"}, code: program.ExitUsage, says: "--for: invalid"},
		{name: "a time without a unit", args: []string{"ack", "web1", "--reason", "x", "--for", "8"}, code: program.ExitUsage, says: "--for: invalid"},
		{name: "words", args: []string{"ack", "web1", "--reason", "x", "--for", "ever"}, code: program.ExitUsage, says: "--for: invalid"},
		{
			name: "it is over",
			args: []string{"ack", "db", "--reason", "x"},
			code: program.ExitFailed,
			says: "alert host-silent/db/1 is not open but resolved: nothing needs to be acknowledged (`supernats alerts show host-silent/db/1` has its timeline)",
		},
		{name: "by its id", args: []string{"unack", "host-silent/db/1"}, code: program.ExitFailed, says: "alert host-silent/db/1 is not open but resolved"},
		{name: "it has not begun", args: []string{"ack", "soon", "--reason", "x"}, code: program.ExitFailed, says: "is not open but pending"},
		{name: "two that begin so", args: []string{"ack", "web", "--reason", "x"}, code: program.ExitFailed, says: "web means 2 open alerts: name one of host-silent/web1/1, host-silent/web10/1\n"},
		{name: "many", args: []string{"ack", "many", "--reason", "x"}, code: program.ExitFailed, says: "many means 15 open alerts: name one of many/h00/1, many/h01/1, "},
		{name: "not all of them", args: []string{"unack", "many"}, code: program.ExitFailed, says: "many/h09/1, or of 5 others\n"},
		{name: "nobody has it", args: []string{"unack", "web10"}, code: program.ExitFailed, says: "nobody has acknowledged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := supernats(t, append(c.args, "--nats-url", i.url)...)
			if code != c.code || out != "" || !strings.Contains(errs, c.says) {
				t.Errorf("%d %q %s, want %d with %q", code, out, errs, c.code, c.says)
			}
		})
	}
}

// An alert is meant by the whole name of its host or process, by the beginning of its id, and
// to withdraw, by being the only one that is acknowledged.
func TestAckByName(t *testing.T) {
	i := newInstallation(t)
	i.takeAcks()
	ack := func(name, reason string) string {
		t.Helper()
		return i.run("ack", name, "--reason", reason, "--author", "ann", "-o", "table")
	}
	for _, name := range []string{"unexpected-exit/web1/4f0c6d1e2a90b7c3/1", "web1/4f0c6d1e2a90b7c3/1", "api:api_00", "web1/api:api_00", "unexpected-exit/web1/api:api_00", " api:api_00 "} {
		if out := ack(name, "because "+name); !strings.HasPrefix(out, "unexpected-exit web1 api:api_00: acknowledged by ann until it is over or gets worse") {
			t.Errorf("%q: %s", name, out)
		}
	}
	if out := ack("api:api_00", "now"); !strings.HasSuffix(out, "; before, by ann: because  api:api_00 \n") && !strings.HasSuffix(out, "; before, by ann: because  api:api_00\n") {
		t.Errorf("%q", out)
	}
	if out := i.run("unack", "web1", "-o", "table"); !strings.HasPrefix(out, "unexpected-exit web1 api:api_00: nobody takes care") {
		t.Errorf("%q", out)
	}
}

// A user without a name, as in a container, is known by the number.
func TestAckByAUserWithoutAName(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may become another user")
	}
	i := newInstallation(t)
	i.takeAcks()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "supernats")
	if err := os.Link(binary, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "ack", "api:api_00", "--reason", "x", "-o", "json", "--nats-url", i.url)
	cmd.Env, cmd.Dir = []string{"PATH=" + os.Getenv("PATH")}, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"by": "uid54321@`) {
		t.Errorf("%v: %s", err, out)
	}
}
