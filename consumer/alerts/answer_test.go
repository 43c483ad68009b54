package alerts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/alerts"
	"supernats/consumer/rules"
	"supernats/schema"
)

// ack hands in that somebody takes care of the alert with a key of the bucket.
func (w *world) ack(after time.Duration, key string, edit ...func(*schema.Ack)) {
	w.Helper()
	w.answer(after, schema.TypeAck, key, edit...)
}

func (w *world) unack(after time.Duration, key string) {
	w.Helper()
	w.answer(after, schema.TypeUnack, key)
}

func (w *world) answer(after time.Duration, typ, key string, edit ...func(*schema.Ack)) {
	w.Helper()
	m := w.meta(after)
	w.flush()
	a := &schema.Ack{By: "ann", Reason: "looking"}
	if r := w.records[key]; r != nil {
		a.Incident, a.Rule, a.Host, a.Group, a.Process = r.Incident, r.Rule, r.Host, r.Group, r.Process
	}
	for _, f := range edit {
		f(a)
	}
	w.Apply(alerts.Message{Meta: m, Ack: a.Envelope(fmt.Sprint("ack", m.Seq), typ, w.at)})
	w.take()
}

func lasting(d time.Duration) func(*schema.Ack) {
	return func(a *schema.Ack) { a.For = schema.Duration(d) }
}

func by(name string) func(*schema.Ack) { return func(a *schema.Ack) { a.By = name } }

// forPeople are the notifications that people get.
func (w *world) forPeople() (lines []string) {
	for _, n := range w.notes {
		if !n.Alert.Quiet {
			lines = append(lines, fmt.Sprintf("%v %s", n.At.Sub(t0), strings.TrimPrefix(n.Type, "supernats.alert.")))
		}
	}
	return lines
}

const exitKey, groupKey = "exit.web1.api.api_00", "crash.web1.api.-"

// groupRule makes one alert of the processes of a group.
func groupRule() rules.Config {
	return rules.Config{Name: "crash", Event: rules.List{schema.ProcessStateExited}, GroupBy: rules.List{"host", "group"}}
}

// While somebody takes care of an alert what happens is recorded, and nobody else is
// notified until it is over, the time has passed, or it gets worse.
func TestAcknowledge(t *testing.T) {
	exit := []rules.Config{crashRule()}
	for _, c := range []struct {
		name  string
		rules []rules.Config
		do    func(w *world)
		want  []string
	}{
		{name: "nobody is notified again, until it is over", rules: exit, do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(time.Minute, exitKey)
			w.event(time.Minute, "EXITED")
			w.pass(12 * time.Hour)
			w.event(0, "RUNNING")
			w.pass(time.Hour)
		}, want: []string{"0s firing", "1m0s acknowledged", "12h2m30s resolved"}},
		{name: "for a time", rules: exit, do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(time.Minute, exitKey, lasting(8*time.Hour))
			w.pass(9 * time.Hour)
		}, want: []string{"0s firing", "1m0s acknowledged", "8h1m0s unacknowledged"}},
		{name: "then it is repeated as before", rules: exit, do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(time.Minute, exitKey, lasting(5*time.Hour))
			w.pass(9 * time.Hour)
		}, want: []string{"0s firing", "1m0s acknowledged", "5h1m0s unacknowledged", "8h0m0s update"}},
		{name: "withdrawn", rules: exit, do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(time.Minute, exitKey)
			w.unack(time.Minute, exitKey)
			w.unack(time.Minute, exitKey) // it is not acknowledged
			w.event(time.Minute, "EXITED")
			w.pass(10 * time.Minute)
		}, want: []string{"0s firing", "1m0s acknowledged", "2m0s unacknowledged", "5m0s update"}},
		{name: "another process joins", rules: []rules.Config{groupRule()}, do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(time.Minute, groupKey)
			w.event(10*time.Minute, "EXITED")
			w.event(time.Minute, "EXITED", process("api_01"))
			w.pass(time.Hour)
		}, want: []string{"0s firing", "1m0s acknowledged", "12m0s firing"}},
		{name: "another process has to last first", do: func(w *world) {
			w.event(0, "FATAL")
			w.pass(time.Minute)
			w.ack(0, "down.web1.api.-")
			w.event(time.Minute, "FATAL", process("api_01"))
			w.event(30*time.Second, "RUNNING", process("api_01"))
			w.pass(time.Hour)
			w.event(0, "FATAL", process("api_02"))
			w.pass(10 * time.Minute)
		}, rules: []rules.Config{{
			Name: "down", State: rules.List{"FATAL"}, For: schema.Duration(time.Minute), GroupBy: rules.List{"host", "group"},
		}}, want: []string{"1m0s firing", "1m0s acknowledged", "1h3m30s firing"}},
		{name: "another one takes over; the same one once more is no news", rules: exit, do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(time.Minute, exitKey)
			w.ack(time.Minute, exitKey)
			w.ack(time.Minute, exitKey, by("bob"))
		}, want: []string{"0s firing", "1m0s acknowledged", "3m0s acknowledged"}},
		{name: "before anybody was notified: all are, at once", do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(time.Second, exitKey)
			w.pass(time.Hour)
		}, rules: []rules.Config{{
			Name: "exit", Event: rules.List{schema.ProcessStateExited}, GroupWait: dur(time.Minute),
		}}, want: []string{"1s firing", "1s acknowledged"}},
		{name: "while it is muted nobody is notified of that either", rules: exit, do: func(w *world) {
			w.event(0, "EXITED")
			w.silences = []schema.Mute{silence(time.Minute, time.Hour)}
			w.SetSilences(w.at, w.silences)
			w.ack(2*time.Minute, exitKey)
			w.pass(time.Minute)
			w.unack(0, exitKey)
			w.pass(30 * time.Minute)
		}, want: []string{"0s firing"}},
		{name: "muted from the beginning: the first notification is made all the same", rules: exit, do: func(w *world) {
			w.silences = []schema.Mute{silence(0, time.Hour)}
			w.SetSilences(w.at, w.silences)
			w.event(0, "EXITED")
			w.ack(2*time.Minute, exitKey)
			w.pass(10 * time.Hour)
		}, want: []string{"1h0m0s firing"}},
		{name: "one that is over", rules: exit, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(time.Minute, "RUNNING")
			w.pass(time.Hour)
			w.ack(0, exitKey)
			w.unack(0, exitKey)
		}, want: []string{"0s firing", "1m30s resolved"}},
		{name: "it comes back soon after: nobody has taken that", rules: exit, do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(time.Minute, exitKey)
			w.event(time.Minute, "RUNNING")
			w.event(2*time.Minute, "EXITED")
			w.pass(10 * time.Minute)
		}, want: []string{"0s firing", "1m0s acknowledged", "2m30s resolved", "4m0s firing"}},
		{name: "another one than it names", rules: exit, do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(time.Minute, exitKey, func(a *schema.Ack) { a.Incident += "0" })
			w.ack(time.Minute, exitKey, func(a *schema.Ack) { a.Process = "api_01" })
			w.ack(time.Minute, exitKey, func(a *schema.Ack) { a.Rule = "nope" })
			w.event(time.Minute, "EXITED")
			w.pass(10 * time.Minute)
		}, want: []string{"0s firing", "5m0s update"}},
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/killed %t", c.name, restarts), func(t *testing.T) {
				w := newWorld(t, options(), c.rules...)
				w.restarts = restarts
				c.do(w)
				if d := cmp.Diff(c.want, w.forPeople()); d != "" {
					t.Errorf("-want +got:\n%s\nall:\n%s", d, strings.Join(w.got, "\n"))
				}
			})
		}
	}
}

// Records say who takes care of it, why and until when; so does the notification of its end.
func TestWhatIsSaidOfAnAcknowledgement(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	w.event(0, "EXITED")
	w.ack(time.Minute, exitKey, lasting(time.Hour))
	w.flush()
	until := &schema.Time{Time: t0.Add(61 * time.Minute)}
	want := &schema.Acknowledgement{By: "ann", Reason: "looking", Since: schema.Time{Time: t0.Add(time.Minute)}, Until: until}
	if r := w.records[exitKey]; !r.IsAcknowledged() || cmp.Diff(want, r.Acknowledged) != "" {
		t.Errorf("record is %+v", r)
	}
	if n := w.notes[1]; n.Type != schema.TypeAlertAcknowledged || n.Alert.By != "ann" || n.Alert.Reason != "looking" ||
		cmp.Diff(until, n.Alert.Until) != "" || n.Alert.Incident != w.notes[0].Alert.Incident || n.ID == w.notes[0].ID {
		t.Errorf("%+v", n)
	}

	w.answer(time.Minute, schema.TypeUnack, exitKey, by("bob"))
	if n := w.notes[2]; n.Type != schema.TypeAlertUnacknowledged || n.Alert.By != "bob" ||
		n.Alert.Cause != schema.UnackedByHand || cmp.Diff(want, n.Alert.Acknowledged) != "" {
		t.Errorf("%+v", n.Alert)
	}

	w.ack(time.Minute, exitKey)
	w.event(time.Minute, "RUNNING")
	w.pass(time.Minute)
	last := w.notes[len(w.notes)-1]
	if last.Type != schema.TypeAlertResolved || last.Alert.Acknowledged == nil || last.Alert.Acknowledged.By != "ann" {
		t.Errorf("%+v", last.Alert)
	}
	w.flush()
	if r := w.records[exitKey]; r.IsAcknowledged() || r.Acknowledged == nil {
		t.Errorf("record of one that is over: %+v", r)
	}
}

// Of an alert that somebody takes care of, quiet updates record what happens, and keep it
// alive where it would seem to be over.
func TestWhatHappensMeanwhileIsRecorded(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	w.event(0, "EXITED")
	w.ack(time.Minute, exitKey)
	w.event(time.Minute, "EXITED")
	w.pass(9 * time.Hour)
	w.want(
		"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
		"1m0s acknowledged exit/2 web1/api/api_00 count 1 []",
		"5m0s update exit/3 web1/api/api_00 count 2 [EXITED#3]",
		"4h5m0s update exit/4 web1/api/api_00 count 2 []",
		"8h5m0s update exit/5 web1/api/api_00 count 2 []",
	)
	for _, n := range w.notes[2:] {
		if !n.Alert.Quiet {
			t.Errorf("%s is for people", n.ID)
		}
	}
	w.flush()
	heard := &schema.Time{Time: t0}
	if r := w.records[exitKey]; r.Quiet != 3 || r.Notifications != 4 || cmp.Diff(heard, r.Heard) != "" {
		t.Errorf("the record has %d of %d quiet, heard of at %v", r.Quiet, r.Notifications, r.Heard)
	}

	w.unack(time.Minute, exitKey)
	w.pass(4 * time.Hour)
	w.flush()
	if r := w.records[exitKey]; r.Quiet != 3 || r.Notifications != 5 || r.Heard != nil {
		t.Errorf("it is repeated, and the record has %d of %d quiet, heard of at %v", r.Quiet, r.Notifications, r.Heard)
	}
}

// A rule that becomes more severe ends what was acknowledged before, and reports that.
func TestSeverityRises(t *testing.T) {
	for _, c := range []struct {
		name, severity string
		want           []string
	}{
		{name: "it rises", severity: "critical", want: []string{"0s firing", "1m0s acknowledged", "1h0m0s firing"}},
		{name: "it falls", severity: "info", want: []string{"0s firing", "1m0s acknowledged"}},
		{name: "another word is a warning too", severity: "disaster", want: []string{"0s firing", "1m0s acknowledged"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule := crashRule()
			rule.Severity = "warning"
			w := newWorld(t, options(), rule)
			w.event(0, "EXITED")
			w.ack(time.Minute, exitKey)
			w.pass(59 * time.Minute)

			rule.Severity = c.severity
			w.restart(compile(t, []rules.Config{rule}, options()))
			w.pass(time.Minute)
			if d := cmp.Diff(c.want, w.forPeople()); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// escalating is a rule that notifies the boss after 15 minutes, and everybody after an hour.
func escalating() rules.Config {
	c := crashRule()
	c.Notify = rules.List{"ops"}
	c.Escalate = []rules.Escalation{
		{After: schema.Duration(15 * time.Minute), Notify: rules.List{"boss"}},
		{After: schema.Duration(time.Hour), Notify: rules.List{"all", "phone"}},
	}
	return c
}

// escalations are the notifications with whom they are for.
func (w *world) escalations() (lines []string) {
	for _, n := range w.notes {
		if !n.Alert.Quiet {
			lines = append(lines, fmt.Sprintf("%v %s %d %v", n.At.Sub(t0),
				strings.TrimPrefix(n.Type, "supernats.alert."), n.Alert.Escalation, n.Alert.Notify))
		}
	}
	return lines
}

// While nobody takes care of an alert more people are notified, step by step; what comes
// later is for all who know of it.
func TestEscalate(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world)
		want []string
	}{
		{name: "step by step, each once", do: func(w *world) {
			w.event(0, "EXITED")
			w.pass(3 * time.Hour)
			w.event(0, "RUNNING")
			w.pass(time.Minute)
		}, want: []string{
			"0s firing 0 [ops]", "15m0s firing 1 [boss]", "1h0m0s firing 2 [all phone]",
			"3h0m30s resolved 0 [ops boss all phone]",
		}},
		{name: "somebody takes care of it", do: func(w *world) {
			w.event(0, "EXITED")
			w.ack(14*time.Minute, exitKey)
			w.pass(3 * time.Hour)
		}, want: []string{"0s firing 0 [ops]", "14m0s acknowledged 0 [ops]"}},
		{name: "and no longer does: the time begins again", do: func(w *world) {
			w.event(0, "EXITED")
			w.pass(20 * time.Minute)
			w.ack(0, exitKey)
			w.unack(10*time.Minute, exitKey)
			w.pass(70 * time.Minute)
		}, want: []string{
			"0s firing 0 [ops]", "15m0s firing 1 [boss]", "20m0s acknowledged 0 [ops boss]",
			"30m0s unacknowledged 0 [ops boss]", "1h30m0s firing 2 [all phone]",
		}},
		{name: "it is over in time", do: func(w *world) {
			w.event(0, "EXITED")
			w.event(14*time.Minute, "RUNNING")
			w.pass(3 * time.Hour)
		}, want: []string{"0s firing 0 [ops]", "14m30s resolved 0 [ops]"}},
		{name: "it seems to be over when the step is due", do: func(w *world) {
			w.event(0, "EXITED")
			w.event(14*time.Minute+50*time.Second, "RUNNING")
			w.event(20*time.Second, "EXITED")
			w.pass(time.Minute)
		}, want: []string{"0s firing 0 [ops]", "15m10s update 0 [ops]", "15m10s firing 1 [boss]"}},
		{name: "it comes back: the time begins again, the steps do not", do: func(w *world) {
			w.event(0, "EXITED")
			w.pass(16 * time.Minute)
			w.event(0, "RUNNING")
			w.event(time.Minute, "EXITED")
			w.pass(59 * time.Minute)
			w.pass(time.Minute)
		}, want: []string{
			"0s firing 0 [ops]", "15m0s firing 1 [boss]", "16m30s resolved 0 [ops boss]",
			"17m0s firing 0 [ops boss]", "1h17m0s firing 2 [all phone]",
		}},
		{name: "while it is muted nobody can answer", do: func(w *world) {
			w.event(0, "EXITED")
			w.silences = []schema.Mute{silence(time.Minute, 30*time.Minute)}
			w.SetSilences(w.at, w.silences)
			w.pass(50 * time.Minute)
		}, want: []string{"0s firing 0 [ops]", "30m0s update 0 [ops]", "45m0s firing 1 [boss]"}},
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/killed %t", c.name, restarts), func(t *testing.T) {
				w := newWorld(t, options(), escalating())
				w.restarts = restarts
				c.do(w)
				if d := cmp.Diff(c.want, w.escalations()); d != "" {
					t.Errorf("-want +got:\n%s", d)
				}
			})
		}
	}
}

// Whoever is notified late reads what happened.
func TestAnEscalationSaysWhatHappened(t *testing.T) {
	w := newWorld(t, options(), escalating())
	w.event(0, "EXITED", func(e *schema.Event) { e.Exit = &schema.Exit{Code: p(3)} })
	w.pass(20 * time.Minute)
	if n := w.notes[1].Alert; len(n.Events) != 1 || n.Events[0].Exit == nil || n.Count != 1 || n.State != schema.StateExited {
		t.Errorf("%+v", n)
	}
}
