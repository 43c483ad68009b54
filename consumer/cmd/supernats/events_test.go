package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"supernats/consumer/terminal"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/program"
	"supernats/schema/stream"
)

func TestReplayTable(t *testing.T) {
	i := newInstallation(t)
	i.fill()
	time := func(second int) string { return i.at(second).Format("2006-01-02 15:04:05.000") }
	want := time(0) + "  web1            api:api_00             PROCESS_STATE_STARTING         from STOPPED\n" +
		time(1) + "  web1            api:api_00             PROCESS_STATE_EXITED           unexpected, exit code 3, from RUNNING, pid 42\n" +
		time(2) + "  db1.example.com                        TICK_5                         04:51:20\n" +
		time(3) + "  db1.example.com my.app-weird*>é        PROCESS_LOG_STDOUT             \"one\\ntwo\\n\"\n" +
		time(4) + "  db1.example.com                        REMOTE_COMMUNICATION           type deploy now\n"
	if d := cmp.Diff(want, i.run("replay", "-o", "table")); d != "" {
		t.Error(d)
	}
}

// serials are those of the events in JSON lines.
func serials(t *testing.T, lines string) []uint64 {
	t.Helper()
	var list []uint64
	for line := range strings.Lines(lines) {
		ce, err := codec.UnmarshalEvent([]byte(line))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, ce.Data.Serial)
	}
	return list
}

func TestReplayFilters(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.fill()
	at := func(second int) string { return i.at(second).Format(time.RFC3339) }
	for _, c := range []struct {
		args string
		want []uint64
	}{
		{want: []uint64{1, 2, 3, 4, 5}},
		{args: "-o jsonl", want: []uint64{1, 2, 3, 4, 5}},
		{args: "--host web1", want: []uint64{1, 2}},
		{args: "--host web1 --host nobody", want: []uint64{1, 2}},
		{args: "--host db*", want: []uint64{3, 4, 5}},
		{args: "--host db1.example.com", want: []uint64{3, 4, 5}},
		{args: "--host web2"},
		{args: "--group api", want: []uint64{1, 2}},
		{args: "--group my.app-weird*>é --process my.*", want: []uint64{4}},
		{args: "--process api_0?", want: []uint64{1, 2}},
		{args: "--process {api_00,my*}", want: []uint64{1, 2, 4}},
		{args: "--process api_00,my*", want: []uint64{1, 2, 4}},
		{args: "--process {x,{y,api_00}},z", want: []uint64{1, 2}},
		{args: `--process api_00\,my*`},
		{args: "--event PROCESS_STATE_EXITED,TICK", want: []uint64{2, 3}},
		{args: "--event EVENT", want: []uint64{1, 2, 3, 4, 5}},
		{args: "--event PROCESS_STATE", want: []uint64{1, 2}},
		{args: "--event PROCESS_STATE_EXITED", want: []uint64{2}},
		{args: "--event PROCESS_STATE_EXITED --event TICK", want: []uint64{2, 3}},
		{args: "--event *_EXITED", want: []uint64{2}},
		{args: "--event TICK --host web1"},
		{args: "--event REMOTE_COMMUNICATION", want: []uint64{5}},
		{args: "--limit 2", want: []uint64{1, 2}},
		{args: "--limit 2 --host db*", want: []uint64{3, 4}},
		{args: "--limit 99", want: []uint64{1, 2, 3, 4, 5}},
		{args: "--since " + at(2), want: []uint64{3, 4, 5}},
		{args: "--until " + at(2), want: []uint64{1, 2, 3}},
		{args: "--since " + at(1) + " --until " + at(3) + " --limit 2", want: []uint64{2, 3}},
		{args: "--since 2h", want: []uint64{1, 2, 3, 4, 5}},
		{args: "--since 1d", want: []uint64{1, 2, 3, 4, 5}},
		{args: "--until 2h"},
		{args: "--since 30m"},
	} {
		args := append([]string{"replay"}, strings.Fields(c.args)...)
		if d := cmp.Diff(c.want, serials(t, i.run(args...))); d != "" {
			t.Errorf("%s: %s", c.args, d)
		}
	}
}

func TestReplayPrintsTheCloudEventsThemselves(t *testing.T) {
	i := newInstallation(t)
	payload := i.event(schema.Event{Host: "web1", Group: "a", Process: "b"}, func(e *schema.Event) { e.Event, e.Data = schema.ProcessLogStdout, new("<&>\n é") })
	if got := i.run("replay"); got != string(payload)+"\n" {
		t.Errorf("%q is not %q", got, payload)
	}
	// Another program may break lines, and send characters that steer a terminal.
	i.publish("supervisor.event.web1.a.b.other.X", []byte("{\n\"specversion\": \"1.0\",\r\n\t\"id\":\"web1/b/7\",\"type\":\"t\",\"data\":{\"event\":\"X\",\"host\":\"web1\",\"boot\":\"b\",\"serial\":7,\"group\":\"\u009b31m\u202e\U000e0041\x7f\"}}"))
	lines := slices.Collect(strings.Lines(i.run("replay")))
	if len(lines) != 2 || lines[1] != `{"specversion":"1.0","id":"web1/b/7","type":"t","data":{"event":"X","host":"web1","boot":"b","serial":7,"group":"\u009b31m\u202e\udb40\udc41\u007f"}}`+"\n" {
		t.Errorf("%q", lines)
	}
	ce, err := codec.UnmarshalEvent([]byte(lines[1]))
	if err != nil || ce.Data.Group != "\u009b31m\u202e\U000e0041\x7f" {
		t.Errorf("%q %v", ce.Data.Group, err)
	}
}

func TestReplayJSONIsOneArray(t *testing.T) {
	i := newInstallation(t)
	length := func(args ...string) int {
		t.Helper()
		out := i.run(append([]string{"replay", "-o", "json"}, args...)...)
		var list []schema.CloudEvent[*schema.Event]
		if err := json.Unmarshal([]byte(out), &list); err != nil || list == nil {
			t.Fatalf("%q: %v", out, err)
		}
		return len(list)
	}
	if n := length(); n != 0 {
		t.Errorf("%d events of an empty stream", n)
	}
	i.fill()
	if a, b, c := length(), length("--host", "nobody"), length("--limit", "1"); a != 5 || b != 0 || c != 1 {
		t.Errorf("%d, %d and %d events", a, b, c)
	}
	if d := length("--process", "nobody", "--event", "*"); d != 0 {
		t.Errorf("%d events of nobody", d)
	}
}

func TestNoControlCharacterReachesTheTerminal(t *testing.T) {
	i := newInstallation(t)
	evil := "\x1b]0;owned\a\x1b[31m\u009b2J\u202e\r\n"
	i.event(schema.Event{Host: "h" + evil, Group: "g" + evil, Process: "p" + evil}, func(e *schema.Event) {
		e.Event, e.FromState, e.Type, e.Exit = "E"+evil, "F"+evil, "T"+evil, &schema.Exit{Signal: "S" + evil}
		e.Data = new("D" + evil)
	})
	i.publish("supervisor.event.x\x1b[31m", []byte("\x1b[31m garbage"))
	i.publish("supervisor.event.x", []byte(`{"specversion":"\u001b[31m"}`))
	i.publish("supervisor.event.x", []byte(`{"specversion":"1.0","id":"\u001b[31m","type":"t"}`))
	i.state(schema.ProcessRecord{
		Host: "h" + evil, Group: "g" + evil, Process: "p" + evil, State: "RUNNING" + evil, Since: schema.Time{Time: i.base},
		LastExit: &schema.Time{Time: i.base}, Exit: &schema.Exit{SpawnErr: evil},
	})
	i.host(schema.HostRecord{Host: "h" + evil, BridgeVersion: evil, SupervisorVersion: evil, SupervisorState: evil})
	i.alert(schema.Alert{
		Incident: evil, Rule: evil, Severity: evil, Host: "h" + evil, Group: evil, Process: evil, Phase: evil, MutedBy: evil, Muted: 1,
		Last: &schema.AlertEvent{Event: evil}, Opened: schema.Time{Time: i.base},
	})
	i.mute(schema.Mute{ID: "m", Hosts: []string{evil}, Rules: []string{evil}, Comment: evil, Author: evil})
	i.park("notify_"+schema.Token(evil), evil, 1, evil, nil)
	for _, command := range []string{"replay", "ps", "hosts", "alerts", "mutes"} {
		for _, output := range []string{terminal.FormTable, terminal.FormJSON, terminal.FormJSONL} {
			out, errs, code := supernats(t, command, "-o", output, "--nats-url", i.url)
			if code != program.ExitDone {
				t.Errorf("%s -o %s ended with %d: %s", command, output, code, errs)
			}
			for name, text := range map[string]string{"stdout": out, "stderr": errs} {
				if at := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }); at >= 0 {
					t.Errorf("%s -o %s: %q on %s", command, output, text[at:], name)
				}
			}
			if command == "replay" && strings.Count(errs, "supernats: message on ") != 3 {
				t.Errorf("%s -o %s said %q", command, output, errs)
			}
			if output == terminal.FormTable && strings.Count(out, "\n") > 2 && command != "alerts" {
				t.Errorf("%s: lines are broken: %q", command, out)
			}
		}
	}
}

// `supernats replay | head -1`
func TestReplayIntoAClosedPipe(t *testing.T) {
	i := newInstallation(t)
	long := strings.Repeat("x", 10_000)
	for range 50 {
		i.event(schema.Event{Host: "web1", Group: "a", Process: "b"}, func(e *schema.Event) { e.Event, e.Data = schema.ProcessLogStdout, &long })
	}
	for _, output := range []string{terminal.FormTable, terminal.FormJSON, terminal.FormJSONL} {
		cmd := command(t, "replay", "-o", output, "--nats-url", i.url)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		errs, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReaderSize(out, 16).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		out.Close()
		said, err := io.ReadAll(errs)
		if err != nil || len(said) > 0 {
			t.Errorf("-o %s said %q, %v", output, said, err)
		}
		err = cmd.Wait()
		status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !ok || status.ExitStatus() != program.ExitDone && status.Signal() != syscall.SIGPIPE {
			t.Errorf("-o %s ended with %v", output, err)
		}
	}
}

// tail starts a tail and waits until it listens.
func (i *installation) tail(args ...string) (lines *bufio.Scanner, interrupt func(), wait func() error) {
	i.Helper()
	s, err := i.js.Stream(i.Context(), stream.Events)
	if err != nil {
		i.Fatal(err)
	}
	consumers := func() int {
		info, err := s.Info(i.Context())
		if err != nil {
			i.Fatal(err)
		}
		return info.State.Consumers
	}
	before := consumers()
	cmd := command(i.T, append(append([]string{"tail"}, args...), "--nats-url", i.url)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		i.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		i.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); consumers() == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			i.Fatal("tail does not listen")
		}
	}
	return bufio.NewScanner(out), func() { _ = cmd.Process.Signal(syscall.SIGINT) }, cmd.Wait
}

func TestTailFollowsAndStopsAtLimit(t *testing.T) {
	i := newInstallation(t)
	i.fill() // the past
	lines, _, wait := i.tail("--event", "PROCESS_STATE", "--limit", "2")
	i.fill()
	var got []uint64
	for lines.Scan() {
		got = append(got, serials(t, lines.Text())...)
	}
	if d := cmp.Diff([]uint64{6, 7}, got); d != "" {
		t.Error(d)
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
}

func TestTailSinceBeginsThere(t *testing.T) {
	i := newInstallation(t)
	i.fill()
	lines, _, wait := i.tail("--since", "2h", "--limit", "7")
	i.fill()
	var got []uint64
	for lines.Scan() {
		got = append(got, serials(t, lines.Text())...)
	}
	if d := cmp.Diff([]uint64{1, 2, 3, 4, 5, 6, 7}, got); d != "" {
		t.Error(d)
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// An event is printed when it comes, and an interrupted array is a whole one.
func TestTailInterrupted(t *testing.T) {
	i := newInstallation(t)
	lines, interrupt, wait := i.tail("-o", "json")
	i.event(schema.Event{Host: "web1"}, func(e *schema.Event) { e.Event = schema.Tick60 })
	var out strings.Builder
	for lines.Scan() {
		fmt.Fprintln(&out, lines.Text())
		if strings.Contains(lines.Text(), "TICK_60") {
			interrupt()
		}
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
	var list []schema.CloudEvent[*schema.Event]
	if err := json.Unmarshal([]byte(out.String()), &list); err != nil || len(list) != 1 {
		t.Errorf("%v: %s", err, out.String())
	}
}

// --since goes by when an event happened, also where its host's clock is wrong.
func TestReplayOfAWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{-72 * time.Hour, 72 * time.Hour, 0} {
		i := newInstallation(t)
		for serial, ago := range []time.Duration{2 * time.Hour, time.Minute} {
			e := &schema.Event{Event: schema.ProcessStateFatal, Host: "pi", Boot: "4f0c6d1e2a90b7c3", Serial: uint64(serial + 1), Group: "api", Process: "api"}
			payload, err := schema.Marshal(e.Envelope(time.Now().Add(ahead - ago)))
			if err != nil {
				t.Fatal(err)
			}
			m := &nats.Msg{Subject: e.Subject(), Data: payload, Header: nats.Header{stream.HeaderSent: {time.Now().Add(ahead).UTC().Format(time.RFC3339Nano)}}}
			if _, err := i.js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff([]uint64{2}, serials(t, i.run("replay", "--since", "1h", "-o", "jsonl"))); d != "" {
			t.Errorf("%v ahead: %s", ahead, d)
		}
	}
}
