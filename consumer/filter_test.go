package consumer_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"

	"supernats/consumer"
	"supernats/schema"
)

func TestFilterCheck(t *testing.T) {
	for _, bad := range []string{"[", "[a", "a{b", `a\`, "[]", "{a,b"} {
		for _, f := range []consumer.Filter{{Hosts: []string{"ok", bad}}, {Groups: []string{bad}}, {Processes: []string{bad}}, {Events: []string{bad}}} {
			if err := f.Check(); err == nil || !strings.Contains(err.Error(), "want a name with *, ?, [a-z] and {a,b}") {
				t.Errorf("%+v: %v", f, err)
			}
		}
	}
	good := []string{"", "*", "**", "a?c", "[a-z]*", "{a,b}_*", "my.app-weird*>é", "web1.example.com", "PROCESS_STATE", `a\*`}
	if err := (consumer.Filter{Hosts: good, Groups: good, Processes: good, Events: good}).Check(); err != nil {
		t.Error(err)
	}
}

func TestFilterMatch(t *testing.T) {
	exited := &schema.Event{Event: schema.ProcessStateExited, Host: "web1.example.com", Group: "api", Process: "api_00"}
	odd := &schema.Event{Event: schema.ProcessLogStdout, Host: "host/ä", Group: "my.app-weird*>é", Process: "my.app-weird*>é"}
	tick := &schema.Event{Event: schema.Tick5, Host: "web1.example.com"}
	for _, c := range []struct {
		e    *schema.Event
		f    consumer.Filter
		want bool
	}{
		{e: exited, f: consumer.Filter{}, want: true},
		{e: tick, f: consumer.Filter{}, want: true},
		{e: exited, f: consumer.Filter{Hosts: []string{"web1"}}},
		{e: exited, f: consumer.Filter{Hosts: []string{"WEB1.example.com"}}},
		{e: exited, f: consumer.Filter{Hosts: []string{"web1.*"}}, want: true},
		{e: exited, f: consumer.Filter{Hosts: []string{"web[0-9].example.com"}}, want: true},
		{e: exited, f: consumer.Filter{Hosts: []string{"db1", "web?.{example,test}.com"}}, want: true},
		{e: exited, f: consumer.Filter{Groups: []string{"api"}, Processes: []string{"*_00"}}, want: true},
		{e: exited, f: consumer.Filter{Groups: []string{"api"}, Processes: []string{"*_01"}}},
		{e: exited, f: consumer.Filter{Processes: []string{"api_0"}}},
		{e: exited, f: consumer.Filter{Events: []string{"EVENT"}}, want: true},
		{e: exited, f: consumer.Filter{Events: []string{"PROCESS_STATE"}}, want: true},
		{e: exited, f: consumer.Filter{Events: []string{"PROCESS"}}},
		{e: exited, f: consumer.Filter{Events: []string{"PROCESS_STATE_EXITED"}}, want: true},
		{e: exited, f: consumer.Filter{Events: []string{"TICK", "*_{EXITED,FATAL}"}}, want: true},
		{e: exited, f: consumer.Filter{Events: []string{"PROCESS_STATE_FATAL", "TICK"}}},
		{e: exited, f: consumer.Filter{Events: []string{"process_state_exited"}}},
		{e: tick, f: consumer.Filter{Events: []string{"TICK"}}, want: true},
		{e: tick, f: consumer.Filter{Events: []string{"TICK_60"}}},
		{e: tick, f: consumer.Filter{Groups: []string{""}}, want: true},
		{e: tick, f: consumer.Filter{Groups: []string{"*"}}, want: true},
		{e: tick, f: consumer.Filter{Groups: []string{"?*"}}},
		{e: odd, f: consumer.Filter{Hosts: []string{"*"}}, want: true},
		{e: odd, f: consumer.Filter{Hosts: []string{"host/*"}}, want: true},
		{e: odd, f: consumer.Filter{Hosts: []string{"host/ä"}}, want: true},
		{e: odd, f: consumer.Filter{Hosts: []string{"host?ä"}}, want: true},
		{e: odd, f: consumer.Filter{Hosts: []string{"host[/]?"}}, want: true},
		{e: odd, f: consumer.Filter{Hosts: []string{"host"}}},
		{e: odd, f: consumer.Filter{Processes: []string{"my.app-weird*>é"}}, want: true},
		{e: odd, f: consumer.Filter{Processes: []string{`my.app-weird\*>?`}}, want: true},
		{e: odd, f: consumer.Filter{Processes: []string{"my.app"}}},
	} {
		if got := c.f.Match(c.e); got != c.want {
			t.Errorf("%+v matches %s of %s on %s: %t", c.f, c.e.Event, c.e.Process, c.e.Host, got)
		}
	}
}

func TestFilterSubjects(t *testing.T) {
	for _, c := range []struct {
		f    consumer.Filter
		want []string
	}{
		{f: consumer.Filter{}, want: []string{"supervisor.event.>"}},
		{f: consumer.Filter{Events: []string{"TICK", "EVENT"}}, want: []string{"supervisor.event.>"}},
		{f: consumer.Filter{Events: []string{"TICK*"}}, want: []string{"supervisor.event.>"}},
		{
			f:    consumer.Filter{Hosts: []string{"web1.example.com"}},
			want: []string{"supervisor.event.web1=2Eexample=2Ecom.*.*.>"},
		},
		{
			f:    consumer.Filter{Hosts: []string{"a", "b"}, Groups: []string{"api"}},
			want: []string{"supervisor.event.*.api.*.>"},
		},
		{
			f:    consumer.Filter{Hosts: []string{"a*"}, Processes: []string{"é/"}},
			want: []string{"supervisor.event.*.*.=C3=A9=2F.>"},
		},
		{f: consumer.Filter{Groups: []string{""}}, want: []string{"supervisor.event.*.-.*.>"}},
		{
			f: consumer.Filter{Hosts: []string{"h"}, Events: []string{"PROCESS_STATE_EXITED", "TICK_5", "REMOTE_COMMUNICATION"}},
			want: []string{
				"supervisor.event.h.*.*.process_state.exited", "supervisor.event.h.*.*.remote_communication.>",
				"supervisor.event.h.*.*.tick.5",
			},
		},
		// Names of a family that are not known are on other.
		{
			f:    consumer.Filter{Events: []string{"PROCESS_STATE"}},
			want: []string{"supervisor.event.*.*.*.other.>", "supervisor.event.*.*.*.process_state.>"},
		},
		{
			f:    consumer.Filter{Events: []string{"PROCESS_STATE", "PROCESS_STATE_EXITED", "PROCESS_STATE_FROZEN", "TICK_5"}},
			want: []string{"supervisor.event.*.*.*.other.>", "supervisor.event.*.*.*.process_state.>", "supervisor.event.*.*.*.tick.5"},
		},
		{
			f:    consumer.Filter{Events: []string{"FROZEN >"}},
			want: []string{"supervisor.event.*.*.*.other.FROZEN=20=3E"},
		},
	} {
		if d := cmp.Diff(c.want, c.f.Subjects()); d != "" {
			t.Errorf("%+v: %s", c.f, d)
		}
	}
}

// Whatever passes is subscribed to, and a server takes the subjects.
func TestSubjectsCoverWhatPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(
			rapid.SampledFrom([]string{"", "-", "a", "api", "api_00", "web1.example.com", "my.app-weird*>é", "a/b", "a,b", "a}", "a]", "!a", "^", "=2D", strings.Repeat("long", 60)}),
			rapid.StringOf(rapid.SampledFrom([]rune(`ab/*.>é-=,}]!^ `))),
		)
		event := rapid.OneOf(
			rapid.SampledFrom(schema.Names()),
			rapid.SampledFrom([]string{"PROCESS_STATE_FROZEN", "TICK_7", "TICK_", "FROZEN", "EVENT", "PROCESS_STATE", "REMOTE_COMMUNICATION_X", "a.b *>"}),
		)
		e := &schema.Event{
			Event: event.Draw(t, "event"), Host: name.Draw(t, "host"), Group: name.Draw(t, "group"), Process: name.Draw(t, "process"),
		}
		if e.Event == schema.RemoteCommunication {
			e.Type = name.Draw(t, "type")
		}
		// Mostly of globs that match: the name itself, or with wildcards in it.
		globs := func(label, itself string) []string {
			return rapid.SliceOfN(rapid.OneOf(
				rapid.Just(itself), rapid.Just("*"), rapid.Just("?*"), name,
				rapid.Just(strings.Replace(itself, "a", "?", 1)), rapid.Just("{x,"+itself+"}"), rapid.Just(`\`+itself),
			), 0, 2).Draw(t, label)
		}
		f := consumer.Filter{
			Hosts: globs("hosts", e.Host), Groups: globs("groups", e.Group), Processes: globs("processes", e.Process),
			Events: rapid.SliceOfN(rapid.OneOf(
				event, rapid.SampledFrom(schema.Families()), rapid.Just(e.Event), rapid.SampledFrom([]string{"*_EXITED", "TICK*", ""}),
			), 0, 4).Draw(t, "events"),
		}
		subjects := f.Subjects()
		for i, a := range subjects {
			if !server.IsValidSubject(a) {
				t.Fatalf("%q is no subject", a)
			}
			for _, b := range subjects[i+1:] {
				if server.SubjectsCollide(a, b) {
					t.Fatalf("%q and %q overlap", a, b)
				}
			}
		}
		if !f.Match(e) {
			return
		}
		for _, s := range subjects {
			if server.SubjectMatchesFilter(e.Subject(), s) {
				return
			}
		}
		t.Fatalf("%q passes and is not in %q", e.Subject(), subjects)
	})
}
