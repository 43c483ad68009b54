package look_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/fleet"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/web/page/look"
	"supernats/schema"
)

func ago(d time.Duration) schema.Time { return schema.Time{Time: time.Now().Add(-d)} }

func host(change func(*fleet.Host)) *fleet.Host {
	h := &fleet.Host{Host: inspect.Host{HostRecord: schema.HostRecord{Host: "web1", Running: 2}}}
	change(h)
	return h
}

// A host is ok only if nothing at all is wrong with it.
func TestHostMark(t *testing.T) {
	long, recent := ago(48*time.Hour), ago(time.Hour)
	for _, c := range []struct {
		name   string
		change func(*fleet.Host)
		want   string
	}{
		{name: "well", change: func(*fleet.Host) {}, want: "ok ok"},
		{name: "silent", change: func(h *fleet.Host) { h.UnknownSince, h.Fatal = &recent, 1 }, want: "warn silent"},
		{name: "shut down", change: func(h *fleet.Host) { h.ShutDownSince = &recent }, want: "gone shut down"},
		{name: "FATAL", change: func(h *fleet.Host) { h.Fatal, h.Down, h.Level = 2, 3, fleet.Critical }, want: "crit 2 FATAL"},
		{name: "down", change: func(h *fleet.Host) { h.Down, h.Level = 1, fleet.Warning }, want: "warn 1 down"},
		{name: "one supervisord is silent", change: func(h *fleet.Host) { h.Silent = 1 }, want: "warn part silent"},
		{name: "a trouble", change: func(h *fleet.Host) { h.Troubles = []schema.HostTrouble{{Text: "disk full"}} }, want: "warn trouble"},
		{name: "a loss", change: func(h *fleet.Host) { h.Lost, h.LastLoss = 3, &recent }, want: "warn events lost"},
		{name: "a loss of long ago", change: func(h *fleet.Host) { h.Lost, h.LastLoss = 3, &long }, want: "ok ok"},
		{name: "an alert", change: func(h *fleet.Host) { h.Open, h.Level = make([]*fleet.Alert, 2), fleet.Critical }, want: "crit 2 alerts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := look.HostMark(host(c.change))
			if got := m.Class + " " + m.Word; got != c.want || m.Shape == "" {
				t.Errorf("%q with the shape %q, want %q", got, m.Shape, c.want)
			}
		})
	}
}

func TestProcessRow(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*fleet.Process)
		want   string
	}{
		{name: "running", change: func(p *fleet.Process) { p.State, p.PID, p.Starts = "RUNNING", 7, 3 }, want: "ok RUNNING: pid 7 · 3 starts"},
		{name: "after crashes", change: func(p *fleet.Process) { p.State, p.Starts, p.UnexpectedExits = "RUNNING", 2, 1 }, want: "ok RUNNING: 2 starts · 1 unexpected exit"},
		{name: "FATAL", change: func(p *fleet.Process) { p.State, p.Down, p.Exit = "FATAL", true, &schema.Exit{Code: new(1)} }, want: "crit FATAL: exit code 1"},
		{name: "BACKOFF", change: func(p *fleet.Process) { p.State, p.Down = "BACKOFF", true }, want: "warn BACKOFF: "},
		{name: "exited as expected", change: func(p *fleet.Process) {
			p.State, p.Exit, p.Ran, p.Expected = "EXITED", &schema.Exit{Code: new(0)}, new(3.0), new(true)
		}, want: "gone EXITED: ran 3.0 s, exit code 0"},
		{name: "stopped", change: func(p *fleet.Process) { p.State, p.Starts = "STOPPED", 1 }, want: "gone STOPPED: stopped by somebody"},
		{name: "never started", change: func(p *fleet.Process) { p.State = "STOPPED" }, want: "gone STOPPED: never started"},
		{name: "unknown", change: func(p *fleet.Process) {
			at := ago(time.Hour)
			p.State, p.UnknownSince = "RUNNING", &at
		}, want: "warn unknown: was RUNNING; nothing comes from its host, or from its supervisord"},
		{name: "gone", change: func(p *fleet.Process) {
			at := ago(time.Hour)
			p.State, p.Gone = "RUNNING", &at
		}, want: "gone removed: its supervisord no longer has it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &fleet.Process{Process: inspect.Process{ProcessRecord: schema.ProcessRecord{Host: "web1", Group: "api", Process: "api_00"}}}
			c.change(p)
			r := look.ProcessRow(p, look.Clock{}, true)
			if got := r.Mark.Class + " " + r.Mark.Word + ": " + r.Why; got != c.want || r.Who != "web1 · api:api_00" {
				t.Errorf("%s %q, want %q", r.Who, got, c.want)
			}
		})
	}
}

func TestAlertWhy(t *testing.T) {
	crash := &schema.AlertEvent{Event: schema.ProcessStateExited, Expected: new(false), Exit: &schema.Exit{Code: new(3)}, Ran: new(41.0)}
	for _, c := range []struct {
		name  string
		alert schema.Alert
		want  string
	}{
		{name: "a crash", alert: schema.Alert{Rule: "x", Count: 1, Last: crash}, want: "exited unexpectedly · ran 41 s, exit code 3"},
		{name: "many", alert: schema.Alert{Rule: "x", Count: 22, Last: crash}, want: "exited unexpectedly, 22 times · ran 41 s, exit code 3"},
		{name: "in words of its author", alert: schema.Alert{Rule: "x", Count: 1, Last: crash, Annotations: map[string]string{"summary": "too\nslow"}}, want: `too\nslow · ran 41 s, exit code 3`},
		{name: "a rule of which nothing is known", alert: schema.Alert{Rule: "mine", Count: 1}, want: "matches the rule mine"},
		{name: "over", alert: schema.Alert{Rule: "fatal", Count: 1, Phase: schema.PhaseResolved}, want: "is FATAL, gave up starting it · over: recovered"},
		{name: "over by somebody", alert: schema.Alert{Rule: "fatal", Count: 1, Phase: schema.PhaseResolved, Ended: "stopped"}, want: "is FATAL, gave up starting it · over: stopped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := look.AlertWhy(&c.alert); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Whatever rules there are, what is wrong needs attention: once, and not if a silence covers
// it.
func TestAttention(t *testing.T) {
	lost := ago(time.Hour)
	firing := func(host, severity, mute string) *fleet.Alert {
		return &fleet.Alert{Mute: mute, Alert: schema.Alert{Incident: host, Host: host, Severity: severity, Phase: schema.PhaseFiring}}
	}
	alert, muted := firing("web1", "critical", ""), firing("web2", "critical", "some")
	s := &fleet.Snapshot{
		Alerts: []*fleet.Alert{alert, muted, {Alert: schema.Alert{Phase: schema.PhaseResolved}}},
		Hosts: []*fleet.Host{
			host(func(h *fleet.Host) { h.Level, h.Open = fleet.Critical, []*fleet.Alert{alert} }),
			host(func(h *fleet.Host) { h.HostRecord.Host, h.Level, h.Open = "web2", fleet.Info, []*fleet.Alert{muted} }),
			host(func(h *fleet.Host) { h.HostRecord.Host, h.Level, h.Down = "web3", fleet.Warning, 1 }),
			host(func(h *fleet.Host) { h.HostRecord.Host, h.Lost, h.LastLoss = "web4", 5, &lost }),
			host(func(h *fleet.Host) { h.HostRecord.Host = "web5" }),
		},
	}

	var got []string
	for _, thing := range look.Attention(s) {
		r := thing.Row(look.Clock{})
		got = append(got, strings.TrimSpace(r.Who+" "+r.Mark.Word+map[bool]string{false: " (nobody need do anything)"}[thing.NeedsAttention()]))
	}
	want := []string{"web1 critical", "web3 1 down", "web4 events lost", "web2 silenced (nobody need do anything)"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCharts(t *testing.T) {
	c := look.NewChart([]int{0, 1, 200}, time.Unix(0, 0), time.Hour)
	heights := []int{c.Bars[0].Height, c.Bars[1].Height, c.Bars[2].Height}
	if d := cmp.Diff([]int{1, 3, 30}, heights); d != "" || c.Total != 201 || !c.Bars[0].Quiet || c.Width() != 30 {
		t.Errorf("total %d, width %d, heights %s", c.Total, c.Width(), d)
	}
	if got := c.Bars[2].Title; got != "1970-01-01 02:00 UTC: 200" {
		t.Error(got)
	}
}

// What is sent live is the same until something happens; a page says how long ago it was.
// A death while starting is a crash too, as mails count them; what follows from it is none.
func TestCrashesOf(t *testing.T) {
	now := time.Now()
	var events []history.StoredEvent
	for i, name := range []string{
		schema.ProcessStateFatal, schema.ProcessStateBackoff, schema.ProcessStateStarting,
		schema.ProcessStateBackoff, schema.ProcessStateStarting,
	} {
		e := &schema.CloudEvent[*schema.Event]{
			Time: schema.Time{Time: now.Add(-time.Duration(i) * time.Second)}, Data: &schema.Event{Event: name},
		}
		events = append(events, history.StoredEvent{CloudEvent: e})
	}
	if c, span := look.CrashesOf(events, now); c.Total != 2 || c.Label != "2 crashes in 1 hour" {
		t.Errorf("%d in %s, %q", c.Total, span, c.Label)
	}
}

func TestMoments(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if got := (look.Clock{}).At(at).Text; got != "2026-03-01 12:00:00 UTC" {
		t.Error(got)
	}
	if got := (look.Clock{Time: at.Add(5 * time.Minute)}).At(at).Text; got != "5 min ago" {
		t.Error(got)
	}
	if m := (look.Clock{}).AtTime(nil); m != (look.Moment{}) {
		t.Errorf("%+v", m)
	}
}

// An incident that somebody takes care of says who, why and until when.
func TestAcknowledgedIncident(t *testing.T) {
	until := ago(-8 * time.Hour)
	a := &fleet.Alert{Alert: schema.Alert{
		Rule: "fatal", Severity: "critical", Host: "web1", Phase: schema.PhaseFiring, Opened: ago(time.Hour),
		Acknowledged: &schema.Acknowledgement{By: "ops", Reason: "<b>rolling back</b>", Since: ago(time.Minute), Until: &until},
	}}
	if m := look.AlertMark(a); m.Word != "acknowledged" || m.Class == "crit" {
		t.Errorf("%+v", m)
	}
	for _, f := range look.IncidentFacts(a, look.ClockOf(&fleet.Snapshot{Now: time.Now()})) {
		if f.Word == "Acknowledged" && strings.HasPrefix(f.Text, "by ops: <b>rolling back</b>, until ") {
			return
		}
	}
	t.Errorf("%+v", look.IncidentFacts(a, look.ClockOf(&fleet.Snapshot{Now: time.Now()})))
}

// The headline of what is not up to date says when it was so, and never that all is well.
func TestHeadlineOfWhatIsNotLive(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		since time.Time
		want  string
	}{
		{name: "today", since: now.Add(-time.Minute), want: "Nothing needed attention at 11:59:00 UTC; what has happened since is not known"},
		{
			name: "long ago", since: now.Add(-72 * time.Hour),
			want: "Nothing needed attention at 2026-02-26 12:00:00 UTC; what has happened since is not known",
		},
		{name: "not known", want: "Nothing needed attention when events were last recorded; what has happened since is not known"},
	} {
		s := &fleet.Snapshot{Now: now, Hosts: []*fleet.Host{host(func(*fleet.Host) {})}, Status: fleet.Status{Since: c.since}}
		if got := look.HeadOf(s).Text; got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}
