package schema

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/schema/schematest"
)

func TestParseSubjectErrors(t *testing.T) {
	for _, c := range []struct{ subject, want string }{
		{want: "does not begin with"},
		{subject: "supervisor.snapshot.web1", want: "does not begin with"},
		{subject: "supervisor.event.", want: "1 tokens"},
		{subject: "supervisor.event.web1.api.api_00.process_state", want: "4 tokens"},
		{subject: "supervisor.event.web1.api.api_00.process_state.exited.1", want: "6 tokens"},
		{subject: "supervisor.event.web1..api_00.process_state.exited", want: "token is empty"},
		{subject: "supervisor.event.*.api.api_00.process_state.exited", want: "not allowed"},
		{subject: "supervisor.event.web1.api.=61.process_state.exited", want: "stands for itself"},
		{subject: "supervisor.event.web1.api.api_00.process_state.napping", want: `"process_state.napping"`},
		{subject: "supervisor.event.web1.api.api_00.PROCESS_STATE.EXITED", want: `"PROCESS_STATE.EXITED"`},
		{subject: "supervisor.event.web1.api.api_00.process.state_exited", want: `"process.state_exited"`},
		{subject: "supervisor.event.web1.-.-.tick.", want: `"tick."`},
		{subject: "supervisor.event.web1.-.-.remote.communication", want: `"remote.communication"`},
		{subject: "supervisor.event.web1.-.-.remote_communication.", want: "token is empty"},
		{subject: "supervisor.event.web1.-.-.other.a=2", want: "cut short"},
	} {
		s, err := ParseSubject(c.subject)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ParseSubject(%q) = %v, %v; want an error with %q", c.subject, s, err, c.want)
		}
		if s != (Subject{}) {
			t.Errorf("ParseSubject(%q) returns %v with an error", c.subject, s)
		}
	}
}

func TestParseSubjectShortened(t *testing.T) {
	long := strings.Repeat("é", 70)
	for _, s := range []Subject{
		{Host: long, Event: Tick5},
		{Host: "web1", Group: long, Process: "a", Event: ProcessStateExited},
		{Host: "web1", Group: "a", Process: long, Event: ProcessStateExited},
		{Host: "web1", Event: RemoteCommunication, Type: long},
		{Host: "web1", Event: long},
	} {
		if _, err := ParseSubject(s.String()); !errors.Is(err, ErrShortened) {
			t.Errorf("ParseSubject(%q): %v, want ErrShortened", s, err)
		}
	}
}

func TestSubject(t *testing.T) {
	weird := "my.app-weird*>é"
	for _, c := range []struct {
		subject Subject
		want    string // after supervisor.event.
	}{
		{subject: Subject{"", "", "", "", ""}, want: "-.-.-.other.-"},
		{subject: Subject{"web1", "", "", "PROCESS_STATE_FROZEN", ""}, want: "web1.-.-.other.PROCESS_STATE_FROZEN"},
		{subject: Subject{"web1", "", "", "PROCESS_STATE", ""}, want: "web1.-.-.other.PROCESS_STATE"},
		{subject: Subject{"web1", "", "", "tick_5", ""}, want: "web1.-.-.other.tick_5"},
		{subject: Subject{"web1", "", "", "a.b c", ""}, want: "web1.-.-.other.a=2Eb=20c"},
		{subject: Subject{"web1", "", "", RemoteCommunication, ""}, want: "web1.-.-.remote_communication.-"},
		{subject: Subject{"web1", "", "", RemoteCommunication, "-"}, want: "web1.-.-.remote_communication.=2D"},
		{
			subject: Subject{"web1", "", "", RemoteCommunication, "a type: of\nits own"},
			want:    "web1.-.-.remote_communication.a=20type=3A=20of=0Aits=20own",
		},
		{
			subject: Subject{"web1.example.com", weird, weird, ProcessStateExited, ""},
			want:    "web1=2Eexample=2Ecom.my=2Eapp-weird=2A=3E=C3=A9.my=2Eapp-weird=2A=3E=C3=A9.process_state.exited",
		},
		{subject: Subject{"h", "g", "p", ProcessStateStopped, ""}, want: "h.g.p.process_state.stopped"},
		{subject: Subject{"h", "g", "p", ProcessStateExited, ""}, want: "h.g.p.process_state.exited"},
		{subject: Subject{"h", "g", "p", ProcessStateStarting, ""}, want: "h.g.p.process_state.starting"},
		{subject: Subject{"h", "g", "p", ProcessStateStopping, ""}, want: "h.g.p.process_state.stopping"},
		{subject: Subject{"h", "g", "p", ProcessStateBackoff, ""}, want: "h.g.p.process_state.backoff"},
		{subject: Subject{"h", "g", "p", ProcessStateFatal, ""}, want: "h.g.p.process_state.fatal"},
		{subject: Subject{"h", "g", "p", ProcessStateRunning, ""}, want: "h.g.p.process_state.running"},
		{subject: Subject{"h", "g", "p", ProcessStateUnknown, ""}, want: "h.g.p.process_state.unknown"},
		{subject: Subject{"h", "g", "p", ProcessCommunicationStdout, ""}, want: "h.g.p.process_communication.stdout"},
		{subject: Subject{"h", "g", "p", ProcessCommunicationStderr, ""}, want: "h.g.p.process_communication.stderr"},
		{subject: Subject{"h", "g", "p", ProcessLogStdout, ""}, want: "h.g.p.process_log.stdout"},
		{subject: Subject{"h", "g", "p", ProcessLogStderr, ""}, want: "h.g.p.process_log.stderr"},
		{
			subject: Subject{"h", "", "", SupervisorStateChangeRunning, ""},
			want:    "h.-.-.supervisor_state_change.running",
		},
		{
			subject: Subject{"h", "", "", SupervisorStateChangeStopping, ""},
			want:    "h.-.-.supervisor_state_change.stopping",
		},
		{subject: Subject{"h", "", "", Tick5, ""}, want: "h.-.-.tick.5"},
		{subject: Subject{"h", "", "", Tick60, ""}, want: "h.-.-.tick.60"},
		{subject: Subject{"h", "", "", Tick3600, ""}, want: "h.-.-.tick.3600"},
		{subject: Subject{"h", "g", "", ProcessGroupAdded, ""}, want: "h.g.-.process_group.added"},
		{subject: Subject{"h", "g", "", ProcessGroupRemoved, ""}, want: "h.g.-.process_group.removed"},
	} {
		want := "supervisor.event." + c.want
		if got := c.subject.String(); got != want {
			t.Errorf("subject of %+v is\n%s, want\n%s", c.subject, got, want)
		}
		got, err := ParseSubject(want)
		if err != nil {
			t.Errorf("ParseSubject(%q): %v", want, err)
		}
		if diff := cmp.Diff(c.subject, got); diff != "" {
			t.Errorf("ParseSubject(%q) (-want +got):\n%s", want, diff)
		}
	}
}

// A bridge that does not know an event yet publishes it as other: a newer
// reader takes it for what it is.
func TestParseSubjectOfOlderBridge(t *testing.T) {
	got, err := ParseSubject("supervisor.event.web1.-.-.other.TICK_5")
	if want := (Subject{Host: "web1", Event: Tick5}); got != want || err != nil {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestSubjectRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Subject{
			Host: schematest.AnyName().Draw(t, "host"), Group: schematest.AnyName().Draw(t, "group"), Process: schematest.AnyName().Draw(t, "process"),
			Event: rapid.OneOf(rapid.SampledFrom(Names()), schematest.AnyName()).Draw(t, "event"),
		}
		if s.Event == RemoteCommunication {
			s.Type = schematest.AnyName().Draw(t, "type")
		}
		subject := s.String()
		tokens := strings.Split(subject, ".")
		for _, token := range tokens {
			if !tokenForm.MatchString(token) {
				t.Fatalf("%q holds the token %q", subject, token)
			}
		}
		if len(tokens) != 7 || len(subject) > 1100 {
			t.Fatalf("%q has %d tokens, %d bytes", subject, len(tokens), len(subject))
		}
		got, err := ParseSubject(subject)
		if strings.Contains(subject, "==") {
			if !errors.Is(err, ErrShortened) {
				t.Fatalf("ParseSubject(%q): %v, want ErrShortened", subject, err)
			}
			return
		}
		if err != nil || got != s {
			t.Fatalf("ParseSubject(%q) = %+v, %v; want %+v", subject, got, err, s)
		}
	})
}

func TestOfHost(t *testing.T) {
	for _, c := range []struct {
		subject, prefix, host string
		want                  bool
	}{
		{subject: "supervisor.event.db1.g.p.tick.5", prefix: EventPrefix, host: "web1"},
		{subject: "supervisor.event.web10.g.p.tick.5", prefix: EventPrefix, host: "web1"},
		{subject: "supervisor.event.web1.x.g.p.tick.5", prefix: EventPrefix, host: "web1.x"},
		{subject: "supervisor.bridge.web1.started", prefix: EventPrefix, host: "web1"},
		{subject: "supervisor.event.", prefix: EventPrefix, host: "web1"},
		{prefix: EventPrefix},
		{subject: "supervisor.event.web1=2Ex.g.p.tick.5", prefix: EventPrefix, host: "web1.x", want: true},
		{subject: "supervisor.snapshot.web1", prefix: SnapshotPrefix, host: "web1", want: true},
	} {
		if got := OfHost(c.subject, c.prefix, c.host); got != c.want {
			t.Errorf("OfHost(%q, %q, %q) is %v", c.subject, c.prefix, c.host, got)
		}
	}
}

func TestOtherSubjects(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{got: SnapshotSubject(""), want: "supervisor.snapshot.-"},
		{got: SnapshotSubject("web1.example.com"), want: "supervisor.snapshot.web1=2Eexample=2Ecom"},
		{got: BridgeSubject("web1.example.com", BridgeStarted), want: "supervisor.bridge.web1=2Eexample=2Ecom.started"},
		{got: BridgeSubject("web1", BridgeStopping), want: "supervisor.bridge.web1.stopping"},
		{got: BridgeSubject("web1", BridgeReconnect), want: "supervisor.bridge.web1.reconnect"},
		{got: BridgeSubject("web1", BridgeLoss), want: "supervisor.bridge.web1.loss"},
		{got: AlertSubject("web1", "", "", "host silent"), want: "supervisor.alert.web1.-.-.host=20silent"},
		{
			got:  (&Notification{Host: "web1", Group: "api", Process: "api.00", Rule: "fatal"}).Subject(),
			want: "supervisor.alert.web1.api.api=2E00.fatal",
		},
		{got: (&Event{Host: "web1", Event: Tick5}).Subject(), want: "supervisor.event.web1.-.-.tick.5"},
		{got: StateKey("web1.example.com", "api", "-"), want: "web1=2Eexample=2Ecom.api.=2D"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
		if !keyForm.MatchString(c.got) {
			t.Errorf("%q is no legal key", c.got)
		}
	}
}

// SubjectEvent tells what ParseSubject tells.
func TestSubjectEvent(t *testing.T) {
	names := rapid.OneOf(rapid.SampledFrom(append(Names(), "PROCESS_STATE_FROZEN", "a.b", strings.Repeat("x", 300))),
		rapid.String())
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "-", "web1", "web1.example.com", strings.Repeat("y", 300)}),
		rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		s := Subject{text.Draw(t, "host"), text.Draw(t, "group"), text.Draw(t, "process"), names.Draw(t, "event"), ""}
		if s.Event == RemoteCommunication {
			s.Type = text.Draw(t, "type")
		}
		host, group, process, event, ok := SubjectEvent(s.String())
		if family, kind := Tail(s.Event, s.Type); family == familyOther && len(kind) > 180 {
			if _, err := ParseToken(kind); err != nil && ok {
				t.Fatalf("%s is taken for %q by its hash", s, event)
			} else if err != nil {
				return
			}
		}
		got := []string{host, group, process, event}
		if d := cmp.Diff([]string{Token(s.Host), Token(s.Group), Token(s.Process), s.Event}, got); d != "" || !ok {
			t.Fatalf("%t %s", ok, d)
		}
	})
	for _, bad := range []string{
		"", "supervisor", "supervisor.event", "supervisor.event.", "supervisor.event.a.b.c", "supervisor.event.a.b.c.tick", "supervisor.event.a.b.c.tick.",
		"supervisor.event.a.b.c.tick.7", "supervisor.event.a.b.c.tick.5.x", "supervisor.event..b.c.tick.5", "supervisor.event.a.b.c.other.x.y", "supervisor.event.a.b.c.other.",
		"supervisor.snapshot.a", "supervisor.event.a.b.c.remote_communication.", "supervisor.event.a.b.c.other.=2", "supervisor.event.a...tick.5",
	} {
		if host, _, _, event, ok := SubjectEvent(bad); ok || host != "" {
			t.Errorf("%q is %q", bad, event)
		}
	}
	subject := Subject{Host: "web1.example.com", Event: Tick5}.String()
	if n := testing.AllocsPerRun(100, func() {
		if _, _, _, event, ok := SubjectEvent(subject); !ok || event != Tick5 {
			t.Error(event)
		}
		if !OfHost(subject, EventPrefix, "web1.example.com") {
			t.Error("it is not the host's")
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkSubjectEvent(b *testing.B) {
	subject := Subject{Host: "web1.example.com", Group: "api", Process: "api_00", Event: ProcessStateExited}.String()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, _, ok := SubjectEvent(subject); !ok {
			b.Fatal(subject)
		}
	}
}
