package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/program"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// eventsAt stores events that happened so long after the first one, which was an hour ago.
func (i *installation) eventsAt(after ...time.Duration) {
	i.Helper()
	for n, d := range after {
		e := &schema.Event{
			Event: schema.ProcessStateFatal, Host: "web1", Boot: "4f0c6d1e2a90b7c3", Serial: uint64(n + 1),
			Group: "api", Process: "api_00",
		}
		payload, err := schema.Marshal(e.Envelope(i.base.Add(d)))
		if err != nil {
			i.Fatal(err)
		}
		m := &nats.Msg{Subject: e.Subject(), Data: payload, Header: nats.Header{
			nats.MsgIdHdr: {e.ID()}, stream.HeaderContentType: {schema.ContentType}, "Traceparent": {"00-1"},
		}}
		if _, err := i.js.PublishMsg(i.Context(), m); err != nil {
			i.Fatal(err)
		}
	}
}

func TestReplaySpeed(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.eventsAt(0, 600*time.Millisecond, 300*time.Millisecond, 900*time.Millisecond)
	for _, c := range []struct {
		speed   string
		atLeast time.Duration
	}{
		{speed: "1", atLeast: 900 * time.Millisecond},
		{speed: "10", atLeast: 90 * time.Millisecond},
	} {
		begin := time.Now()
		out := i.run("replay", "--speed", c.speed, "-o", "jsonl")
		if took := time.Since(begin); took < c.atLeast {
			t.Errorf("--speed %s took %v, want at least %v", c.speed, took, c.atLeast)
		}
		if d := cmp.Diff([]uint64{1, 2, 3, 4}, serials(t, out)); d != "" {
			t.Errorf("--speed %s: %s", c.speed, d)
		}
	}

	for _, speed := range []string{"2", "0", "-1", "1.5", "10x", "MAX", "fast", ""} {
		_, errs, code := supernats(t, "replay", "--speed="+speed, "--nats-url", i.url)
		if code != program.ExitUsage || !strings.Contains(errs, `--speed must be one of "1","10","max" but got "`+speed+`"`) {
			t.Errorf("%q: %d %s", speed, code, errs)
		}
	}
}

// An event is shown before the silence after it, and a long silence is cut short, and said.
func TestReplaySpeedInALongSilence(t *testing.T) {
	i := newInstallation(t)
	i.eventsAt(0, 20*time.Minute)
	cmd := command(t, "replay", "--speed", "10", "-o", "jsonl", "--nats-url", i.url)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1<<10)
	if n, err := out.Read(first); err != nil || len(serials(t, string(first[:n]))) != 1 {
		t.Errorf("%q, %v", first[:n], err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if want := "supernats: then nothing for 20 minutes, of which 10 seconds pass\n"; errs.String() != want {
		t.Errorf("said %q, want %q", errs.String(), want)
	}
}

// What is published again is what was stored, below a prefix, and without the headers that
// are for the stream.
func TestReplayPublish(t *testing.T) {
	i := newInstallation(t)
	i.eventsAt(0, time.Second, 2*time.Second)
	sub, err := i.js.Conn().SubscribeSync("again.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	stored := streamtest.Stored(t, i.js, stream.Events)
	for _, prefix := range []string{"again", "again."} {
		if out := i.run("replay", "--limit", "2", "--publish", prefix); out != "2 events are published below again.\n" {
			t.Errorf("printed %q", out)
		}
		for n := range 2 {
			m, err := sub.NextMsg(5 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != "again."+stored[n].Subject() || string(m.Data) != string(stored[n].Data()) {
				t.Errorf("%s %s", m.Subject, m.Data)
			}
			want := nats.Header{stream.HeaderContentType: {schema.ContentType}, "Traceparent": {"00-1"}}
			if d := cmp.Diff(want, m.Header); d != "" {
				t.Error(d)
			}
		}
	}
	if m, err := sub.NextMsg(50 * time.Millisecond); err == nil {
		t.Errorf("%s too", m.Subject)
	}
}

func TestReplayPublishRefuses(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.eventsAt(0)
	s, err := i.js.Stream(i.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	config.Subjects = append(config.Subjects, "team.>")
	if _, err := i.js.UpdateStream(i.Context(), config); err != nil {
		t.Fatal(err)
	}

	for prefix, want := range map[string]string{
		"supervisor.event": "stream SUPERVISOR stores supervisor.event.>, and would take past events for new ones: want another prefix",
		"supervisor.alert": "stream SUPERVISOR_ALERTS stores supervisor.alert.>",
		"team.again":       "stream SUPERVISOR stores team.>",
		"a.*":              "invalid prefix \"a.*\": want tokens of a subject without wildcards",
		"a b":              "invalid prefix \"a b\"",
		"a..b":             "invalid prefix \"a..b\"",
		"a.>":              "invalid prefix \"a.>\"",
		">":                "invalid prefix \">\"",
		".":                "invalid prefix \".\"",
		"":                 "the prefix is empty",
		"a\x1b[2J":         "invalid prefix \"a\\x1b[2J\"",
		"$KV.x":            "are those of NATS itself",
		"$JS.API":          "are those of NATS itself",
		"_INBOX":           "are those of NATS itself",
	} {
		out, errs, code := supernats(t, "replay", "--publish="+prefix, "--nats-url", i.url)
		if code != program.ExitUsage || out != "" || !strings.HasPrefix(errs, "supernats: --publish: ") || !strings.Contains(errs, want) {
			t.Errorf("%s ended with %d, printed %q and %q", prefix, code, out, errs)
		}
	}
	if info, err := s.Info(i.Context()); err != nil || info.State.Msgs != 1 {
		t.Errorf("%+v, %v", info.State, err)
	}
}

// Without the right to publish, the right that is missing is named, and that next to nothing
// is published.
func TestReplayPublishDenied(t *testing.T) {
	i := newInstallationFor(t, map[string]*server.Permissions{
		"all":    {},
		"reader": {Publish: &server.SubjectPermission{Allow: []string{"$JS.API.>"}}},
		"half":   {Publish: &server.SubjectPermission{Deny: []string{"again.supervisor.event.web2.>"}}},
	})
	i.eventsAt(0, 0, 0)
	i.event(schema.Event{Host: "web2"}, func(e *schema.Event) { e.Event = schema.Tick5 })
	for _, c := range []struct {
		user string
		want string
	}{
		{user: "reader", want: "supernats: --publish: this NATS user may not publish again.supervisor.event.web1.api.api_00.process_state.fatal: "},
		{user: "half", want: "supernats: --publish: this NATS user may not publish again.supervisor.event.web2.-.-.tick.5: "},
	} {
		out, errs, code := supernats(t, "replay", "--publish", "again", "--nats-url", i.as(c.user))
		// How many were sent until the refusal came is the server's to say.
		fix := regexp.MustCompile(`add "again\.>" to its publish permissions; at most (1 event is|[2-4] events are) published below again\.\n$`)
		if code != program.ExitFailed || out != "" || !strings.HasPrefix(errs, c.want) || !fix.MatchString(errs) {
			t.Errorf("%s: %d, printed %q and %q", c.user, code, out, errs)
		}
	}
	if s, err := i.js.Stream(t.Context(), stream.Events); err != nil || s.CachedInfo().State.Msgs != 4 {
		t.Errorf("%v", err)
	}
}

// Where a filter lets most of the stream pass, all of it is read, and the rest left out.
func TestReplayOfMostOfTheStream(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	const many = 12_000
	e := &schema.Event{Host: "web1", Event: schema.Tick60, Server: "supervisor", Boot: "4f0c6d1e2a90b7c3"}
	for n := range many {
		e.Serial = uint64(n + 1)
		payload, err := schema.Marshal(e.Envelope(i.at(n)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.js.PublishAsync(e.Subject(), payload, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n%1000 == 0 {
			if _, err := i.js.PublishAsync(schema.SnapshotSubject("web1"), []byte("{}"), jetstream.WithStallWait(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-i.js.PublishAsyncComplete()
	for _, args := range [][]string{{"replay"}, {"replay", "--event", "TICK"}, {"replay", "--since", "2h"}} {
		if n := strings.Count(i.run(args...), "\n"); n != many {
			t.Errorf("%q: %d events, want %d", args, n, many)
		}
	}
	if out := i.run("replay", "--event", "TICK", "--limit", "11000"); strings.Count(out, "\n") != 11000 {
		t.Errorf("--limit: %d", strings.Count(out, "\n"))
	}
	i.event(schema.Event{Host: "web2"}, func(e *schema.Event) { e.Event = schema.Tick5 })
	if out := i.run("replay", "--host", "web2"); strings.Count(out, "\n") != 1 {
		t.Errorf("--host: %s", out)
	}
}
