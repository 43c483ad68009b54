package metrics

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/fleet"
	"supernats/consumer/notify"
	"supernats/schema"
)

// Every alert that is open counts in one state, and those of a rule that was removed too.
func TestAlerts(t *testing.T) {
	alert := func(rule, phase string, change ...func(*fleet.Alert)) *fleet.Alert {
		a := &fleet.Alert{Alert: schema.Alert{Rule: rule, Severity: "critical", Phase: phase}}
		for _, c := range change {
			c(a)
		}
		return a
	}
	d := newDaemon()
	d.rules = []Rule{{Name: "fatal", Severity: "critical"}}
	d.snapshot.Alerts = []*fleet.Alert{
		alert("fatal", schema.PhaseFiring), alert("fatal", schema.PhaseFiring),
		alert("fatal", schema.PhaseFiring, func(a *fleet.Alert) { a.Mute, a.InhibitedBy = "m1", "host-silent" }),
		alert("fatal", schema.PhasePending), alert("fatal", schema.PhaseResolved),
		alert("fatal", schema.PhaseFiring, func(a *fleet.Alert) { a.Acknowledged = &schema.Acknowledgement{By: "ops"} }),
		alert("removed", schema.PhaseFiring, func(a *fleet.Alert) { a.InhibitedBy = "host-silent" }),
	}
	_, body := d.get(t, "/metrics/self", "")
	want := []string{
		`supernats_alerts{rule="fatal",severity="critical",state="acknowledged"} 1`,
		`supernats_alerts{rule="fatal",severity="critical",state="firing"} 2`,
		`supernats_alerts{rule="fatal",severity="critical",state="inhibited"} 0`,
		`supernats_alerts{rule="fatal",severity="critical",state="muted"} 1`,
		`supernats_alerts{rule="fatal",severity="critical",state="pending"} 1`,
		`supernats_alerts{rule="removed",severity="critical",state="acknowledged"} 0`,
		`supernats_alerts{rule="removed",severity="critical",state="firing"} 0`,
		`supernats_alerts{rule="removed",severity="critical",state="inhibited"} 1`,
		`supernats_alerts{rule="removed",severity="critical",state="muted"} 0`,
		`supernats_alerts{rule="removed",severity="critical",state="pending"} 0`,
	}
	if d := cmp.Diff(want, samples(body, "supernats_alerts")); d != "" {
		t.Error(d)
	}
}

// While nobody knows the lag, it is not 0.
func TestLag(t *testing.T) {
	for _, c := range []struct {
		name              string
		status            fleet.Status
		messages, seconds string
	}{
		{name: "nothing waits", status: fleet.Status{Loaded: true, Live: true}, messages: "0", seconds: "0"},
		{name: "some wait", status: fleet.Status{Loaded: true, Live: true, Lag: 7, LagAge: 90 * time.Second}, messages: "7", seconds: "90"},
		{name: "they are late", status: fleet.Status{Loaded: true, Lag: 7, LagAge: 90 * time.Second, Since: noon.Time}, messages: "7", seconds: "90"},
		{name: "NATS is away", status: fleet.Status{Loaded: true, Since: noon.Add(-time.Hour)}, seconds: "3600"},
		{name: "nobody has ever recorded", status: fleet.Status{Loaded: true}, seconds: "+Inf"},
		{name: "the records were not read yet", status: fleet.Status{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDaemon()
			d.snapshot.Status = c.status
			_, body := d.get(t, "/metrics/self", "")
			for name, want := range map[string]string{"supernats_consumer_lag_messages": c.messages, "supernats_consumer_lag_seconds": c.seconds} {
				got := strings.Join(samples(body, name), "")
				if want == "" && got != "" || want != "" && !strings.HasPrefix(got+".", name+" "+want+".") {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
}

// Anybody can send any number of names; the stream has them all, the metrics one.
func TestEventsAreBounded(t *testing.T) {
	d := newDaemon()
	for _, subject := range []string{
		"supervisor.event.web1.-.-.tick.5", "supervisor.event.web1.-.-.other.MY_OWN", "supervisor.event.web1.-.-.other.TICK_7",
		"supervisor.event.web1.-.-.remote_communication.deploy", "supervisor.snapshot.web1", "supervisor.event.web1",
	} {
		d.CountMessage(subject)
	}
	_, body := d.get(t, "/metrics", "")
	got := samples(body, "supervisord_events_total")
	if len(got) != len(schema.Names())+1 {
		t.Errorf("%d series", len(got))
	}
	for _, want := range []string{`{event="TICK_5"} 1`, `{event="other"} 2`, `{event="REMOTE_COMMUNICATION"} 1`, `{event="TICK_60"} 0`} {
		if !slices.Contains(got, "supervisord_events_total"+want) {
			t.Errorf("there is no %s in %s", want, got)
		}
	}
}

// An instance that takes over begins at 0: continued counts would, with those of another
// instance between them, look like events that nobody sent.
func TestEventsBeginAtATakeOver(t *testing.T) {
	d := newDaemon()
	d.CountMessage("supervisor.event.web1.-.-.tick.5")
	d.BeginEvents()
	_, body := d.get(t, "/metrics", "")
	if !strings.Contains(body, "supervisord_events_total{event=\"TICK_5\"} 0\n") {
		t.Error("it continues")
	}
	d.CountMessage("supervisor.event.web1.-.-.tick.5")
	if _, body = d.get(t, "/metrics", ""); !strings.Contains(body, "supervisord_events_total{event=\"TICK_5\"} 1\n") {
		t.Error("it does not count")
	}
}

func TestCountingMakesNoGarbage(t *testing.T) {
	d := newDaemon()
	if n := testing.AllocsPerRun(1000, func() { d.CountMessage("supervisor.event.web1.api.api_00.process_state.exited") }); n > 0 {
		t.Errorf("%v allocations for each message", n)
	}
}

// What a receiver has taken counts, what it has not counts by its reason, and a receiver
// that is not configured any more is not exported.
func TestNotifications(t *testing.T) {
	d := newDaemon()
	d.SetReceivers([]string{"mail", "chat"})
	d.CountNotifications("mail", 3, 0, nil)
	d.CountNotifications("mail", 1, 2, notify.Permanent(errors.New("no such user")))
	d.CountNotifications("mail", 0, 5, notify.Outage(errors.New("connection refused")))
	d.SetReceivers([]string{"mail", "pager"})

	_, body := d.get(t, "/metrics/self", "")
	want := []string{
		`supernats_notifications_failed_total{reason="auth",receiver="mail"} 0`,
		`supernats_notifications_failed_total{reason="other",receiver="mail"} 0`,
		`supernats_notifications_failed_total{reason="outage",receiver="mail"} 5`,
		`supernats_notifications_failed_total{reason="rate_limited",receiver="mail"} 0`,
		`supernats_notifications_failed_total{reason="refused",receiver="mail"} 2`,
		`supernats_notifications_failed_total{reason="timeout",receiver="mail"} 0`,
		`supernats_notifications_total{receiver="mail",result="delivered"} 4`,
		`supernats_notifications_total{receiver="mail",result="failed"} 7`,
	}
	got := slices.DeleteFunc(samples(body, "supernats_notifications"), func(s string) bool { return !strings.Contains(s, `"mail"`) })
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if strings.Contains(body, `receiver="chat"`) || !strings.Contains(body, `receiver="pager",result="delivered"} 0`) {
		t.Errorf("after the change:\n%s", strings.Join(samples(body, "supernats_notifications"), "\n"))
	}
}

func TestReasons(t *testing.T) {
	failed := errors.New("failed")
	for _, c := range []struct {
		err  error
		want string
	}{
		{err: failed, want: "other"},
		{err: notify.Permanent(failed), want: "refused"},
		{err: notify.Permanent(notify.Denied(failed)), want: "auth"},
		{err: notify.Outage(notify.Denied(failed)), want: "auth"},
		{err: notify.Outage(failed), want: "outage"},
		{err: notify.After(time.Minute, failed), want: "rate_limited"},
		{err: notify.Outage(context.DeadlineExceeded), want: "timeout"},
		{err: notify.Partly(notify.Permanent(failed), []int{1}), want: "refused"},
	} {
		if got := notify.ReasonOf(c.err); got != c.want || !slices.Contains(notify.Reasons(), got) {
			t.Errorf("%#v: %s, want %s", c.err, got, c.want)
		}
	}
}

func TestPings(t *testing.T) {
	d := newDaemon()
	d.pings = map[string]map[string]uint64{"healthchecks": {"ping": 7, "fail": 0}}
	_, body := d.get(t, "/metrics/self", "")
	want := []string{
		`supernats_watchdog_pings_total{result="fail",watchdog="healthchecks"} 0`,
		`supernats_watchdog_pings_total{result="ping",watchdog="healthchecks"} 7`,
	}
	if d := cmp.Diff(want, samples(body, "supernats_watchdog")); d != "" {
		t.Error(d)
	}
}
