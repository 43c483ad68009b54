package main

import (
	"encoding/json"
	"strings"
	"testing"

	"supernats/consumer/timeline"
	"supernats/schema"
	"supernats/schema/program"
)

const shownAlert = "unexpected-exit/web1/4f0c6d1e2a90b7c3/1"

// crashes stores an alert that is open, one that is over, and one of which only the
// notification is left.
func (i *installation) crashes() {
	exit := schema.AlertEvent{
		ID: "web1/4f0c6d1e2a90b7c3/1", Time: at(0), Event: schema.ProcessStateExited, Expected: new(false),
		Exit: &schema.Exit{Code: new(3)}, Log: &schema.Log{Stderr: "ValueError: データ\x1b[31m\nlast line\n"},
	}
	i.alert(schema.Alert{
		Incident: shownAlert, Rule: "unexpected-exit", Kind: schema.KindEvent, Severity: "critical", Host: "web1",
		Group: "api", Process: "api_00", Phase: schema.PhaseFiring, Opened: at(0), Count: 2, Last: &exit,
	})
	i.alert(schema.Alert{
		Incident: "fatal/web2/4f0c6d1e2a90b7c3/2", Rule: "fatal", Severity: "critical", Host: "web2", Group: "api",
		Process: "api_00", Phase: schema.PhaseResolved, Opened: at(0), Closed: new(at(60)), Count: 1,
	})
	i.notify(schema.TypeAlertFiring, at(1), schema.Notification{
		Incident: shownAlert, Rule: "unexpected-exit", Kind: schema.KindEvent, Host: "web1", Group: "api",
		Process: "api_00", Count: 1, Events: []schema.AlertEvent{exit},
	})
	i.notify(schema.TypeAlertFiring, at(1), schema.Notification{Incident: "loss/db/4f0c6d1e2a90b7c3/9", Rule: "loss", Host: "db"})
}

// An alert is found by its id, by a beginning of it, and without its rule, also when only
// its notifications are left.
func TestAlertsShowByID(t *testing.T) {
	i := newInstallation(t)
	i.crashes()
	for _, c := range []struct{ given, want string }{
		{given: shownAlert, want: shownAlert},
		{given: "unex", want: shownAlert},
		{given: " web1/4f0c6d1e2a90b7c3/1 ", want: shownAlert},
		{given: "fatal", want: "fatal/web2/4f0c6d1e2a90b7c3/2"},
		{given: "web2", want: "fatal/web2/4f0c6d1e2a90b7c3/2"},
		{given: "db/", want: "loss/db/4f0c6d1e2a90b7c3/9"},
	} {
		var shown timeline.Timeline
		if err := json.Unmarshal([]byte(i.run("alerts", "show", c.given, "-o", "json")), &shown); err != nil {
			t.Errorf("%s: %v", c.given, err)
		}
		if shown.Incident != c.want {
			t.Errorf("%q is %q, want %q", c.given, shown.Incident, c.want)
		}
	}
}

// The name of a host is that host, and not those whose names begin with it.
func TestAlertsShowByWholeName(t *testing.T) {
	i := newInstallation(t)
	for _, host := range []string{"web1", "web10", "web11"} {
		i.alert(schema.Alert{
			Incident: "host-silent/" + host + "/1", Rule: "host-silent", Host: host, Phase: schema.PhaseFiring, Opened: at(0),
		})
	}
	for _, given := range []string{"host-silent/web1", "web1", "web1/"} {
		if out := i.run("alerts", "show", given, "-o", "jsonl"); !strings.Contains(out, `"alert":"host-silent/web1/1"`) {
			t.Errorf("%q: %s", given, out)
		}
	}
}

// A wrong id says which exist.
func TestAlertsShowWrongID(t *testing.T) {
	i := newInstallation(t)
	refused := func(want string, args ...string) {
		t.Helper()
		out, errs, code := supernats(t, append(args, "--nats-url", i.url)...)
		if code != program.ExitFailed || out != "" || !strings.HasPrefix(errs, "supernats: "+want) {
			t.Errorf("%q ended with %d, printed %q and %q", args, code, out, errs)
		}
	}
	refused("there is no alert, and no notification of one is kept", "alerts", "show", "x")

	i.crashes()
	open := "\n  " + shownAlert + ", firing since 2026-11-21 12:00:00\n  fatal/web2/4f0c6d1e2a90b7c3/2, resolved since"
	refused(`no alert is called "x"; there are:`+open, "alerts", "show", "x")
	refused(`no alert is named; there are:`+open, "alerts", "show")
	refused(`"web" may be one of 2 alerts; there are:`+open, "alerts", "show", "web")
}

func TestAlertsShowAsTableAndMarkdown(t *testing.T) {
	i := newInstallation(t)
	i.crashes()
	table := spaces.ReplaceAllString(i.run("alerts", "show", "unexpected-exit", "-o", "table"), "  ")
	for _, want := range []string{
		"web1 api:api_00 exited unexpectedly, 2 times\n",
		"alert  " + shownAlert + "\n",
		"opened  2026-11-21 12:00:00\n",
		"TIME  WHO  WHAT\n2026-11-21 12:00:00  web1 api:api_00  exited unexpectedly, exit code 3\n",
		"2026-11-21 12:00:01  -  notification: firing, 1 event\n",
		"Last output of web1 api:api_00 on stderr, 2026-11-21 12:00:00\n  ValueError: データ\\x1b[31m\n  last line\n",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	if md := i.run("alerts", "show", "unexpected-exit", "-o", "md"); !strings.HasPrefix(md, "# web1 api:api\\_00 exited unexpectedly, 2 times\n\n- Incident: `"+shownAlert+"`\n") {
		t.Error(md)
	}
	for _, width := range []int{80, 120} {
		screen := i.onScreen(width, nil, "alerts", "show", "unexpected-exit")
		shows(t, screen, width)
		if !strings.Contains(screen, "ValueError") {
			t.Error(screen)
		}
	}
}

// `alerts` is `alerts list`, with its filters.
func TestAlertsWithoutACommand(t *testing.T) {
	i := newInstallation(t)
	i.crashes()
	for _, args := range [][]string{{"alerts", "--rule", "fatal"}, {"alerts", "list", "--rule", "fatal"}} {
		if out := i.run(args...); strings.Count(out, "\n") != 1 || !strings.Contains(out, `"alert":"fatal/web2`) {
			t.Errorf("%q: %s", args, out)
		}
	}
}
