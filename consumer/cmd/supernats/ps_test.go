package main

import (
	gocmp "cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
	"supernats/schema/program"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// fleet are records that are not in the order of the table.
func (i *installation) fleet() {
	at := func(before time.Duration) schema.Time { return schema.Time{Time: noon.Add(-before)} }
	exit := at(2 * time.Second)
	i.state(schema.ProcessRecord{Host: "web2", Group: "cron", Process: "cron", State: "RUNNING", Since: at(50 * time.Hour), PID: 7, Starts: 1})
	i.state(schema.ProcessRecord{
		Host: "web1.example.com", Group: "api", Process: "api_01", State: "FATAL", Since: at(2 * time.Second),
		Starts: 4, Fatals: 1, LastExit: &exit, Exit: &schema.Exit{SpawnErr: "can't find command 'x'"},
	})
	i.state(schema.ProcessRecord{
		Host: "web1.example.com", Group: "api", Process: "api_00", State: "EXITED", Since: at(90 * time.Second),
		Starts: 12, Exits: 11, UnexpectedExits: 3, LastExit: &exit, Exit: &schema.Exit{Signal: "SIGSEGV", Core: true},
	})
	i.state(schema.ProcessRecord{Host: "db", Group: "my.app-weird*>é", Process: "a/b", State: "STOPPED", Since: at(3 * time.Hour)})
}

func TestPsTable(t *testing.T) {
	i := newInstallation(t)
	i.fleet()
	want := `HOST              PROCESS              STATE    FOR  PID  STARTS  EXITS  UNEXPECTED  FATALS  LAST EXIT
db                my.app-weird*>é:a/b  STOPPED  AGE  -    0       0      0           0       -
web1.example.com  api:api_00           EXITED   AGE  -    12      11     3           0       AGO, SIGSEGV, core dumped
web1.example.com  api:api_01           FATAL    AGE  -    4       0      0           1       AGO, spawn error: can't find command 'x'
web2              cron                 RUNNING  AGE  7    1       0      0           0       -
`
	// How long ago it is depends on the day.
	got := regexp.MustCompile(`\d+d ago`).ReplaceAllString(i.run("ps", "-o", "table"), "AGO")
	got = regexp.MustCompile(` (\d+[dhms])+ +`).ReplaceAllString(got, " AGE  ")
	got = strings.Replace(got, "  FOR    ", "  FOR  ", 1)
	if d := cmp.Diff(want, regexp.MustCompile(`FOR +PID`).ReplaceAllString(got, "FOR  PID")); d != "" {
		t.Error(d)
	}
}

func TestPsStates(t *testing.T) {
	i := newInstallation(t)
	i.host(schema.HostRecord{Host: "alive", SupervisorState: "RUNNING", LastSeen: i.ago(time.Second)})
	i.host(schema.HostRecord{Host: "silent", SupervisorState: "RUNNING", LastSeen: i.ago(time.Hour)})
	i.host(schema.HostRecord{Host: "shut", SupervisorState: "STOPPING", LastSeen: i.ago(time.Hour)})
	yes, no := true, false
	for _, s := range []schema.ProcessRecord{
		{Process: "up", State: "RUNNING"},
		{Process: "starting", State: "STARTING"},
		{Process: "backoff", State: "BACKOFF"},
		{Process: "fatal", State: "FATAL"},
		{Process: "lost", State: "UNKNOWN"},
		{Process: "crashed", State: "EXITED", Expected: &no},
		{Process: "finished", State: "EXITED", Expected: &yes},
		{Process: "off", State: "STOPPED"},
		{Process: "going", State: "STOPPING"},
		{Process: "was", State: "FATAL", Gone: new(i.ago(time.Hour))},
		{Host: "silent", Process: "s-up", State: "RUNNING"},
		{Host: "silent", Process: "s-off", State: "STOPPED"},
		{Host: "shut", Process: "d-up", State: "RUNNING"},
		{Host: "no-record", Process: "n-fatal", State: "FATAL"},
	} {
		s.Host, s.Group, s.Since = gocmp.Or(s.Host, "alive"), s.Process, i.ago(time.Minute)
		i.state(s)
	}

	for args, want := range map[string]string{
		"--state RUNNING":                    "d-up s-up up",
		"--state fatal":                      "fatal n-fatal",
		"--state FATAL,BACKOFF":              "backoff fatal n-fatal",
		"--state FATAL --state exited":       "crashed fatal finished n-fatal",
		"--state UNKNOWN":                    "lost s-off s-up",
		"--state FATAL --all":                "fatal n-fatal was",
		"--state STOPPED":                    "d-up off s-off",
		"--down":                             "backoff crashed fatal lost n-fatal s-up starting",
		"--down --state EXITED":              "crashed",
		"--down --state EXITED --host other": "",
		"--down fat*":                        "fatal",
		"--down --all":                       "backoff crashed fatal lost n-fatal s-up starting",
	} {
		got := i.psNames(args)
		slices.Sort(got)
		if d := cmp.Diff(want, strings.Join(got, " ")); d != "" {
			t.Errorf("%s: %s", args, d)
		}
	}

	for _, args := range [][]string{{"--state", "RUNING"}, {"--state", "RUNNING,"}, {"--state", ""}, {"--state", "gone"}} {
		_, errs, code := supernats(t, append(append([]string{"ps"}, args...), "--nats-url", i.url)...)
		if code != program.ExitUsage || !strings.Contains(errs, "want STOPPED, STARTING") {
			t.Errorf("%q: %d %s", args, code, errs)
		}
	}
}

// psNames are the processes that ps prints, in its order.
func (i *installation) psNames(args string) (names []string) {
	i.Helper()
	for line := range strings.Lines(i.run(append([]string{"ps"}, strings.Fields(args)...)...)) {
		var s schema.ProcessRecord
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			i.Fatalf("%q: %v", line, err)
		}
		names = append(names, s.Process)
	}
	return names
}

func TestPsFilters(t *testing.T) {
	i := newInstallation(t)
	i.fleet()
	for args, want := range map[string][]string{
		"":                         {"a/b", "api_00", "api_01", "cron"},
		"api_00":                   {"api_00"},
		"api:*":                    {"api_00", "api_01"},
		"web1.example.com":         {"api_00", "api_01"},
		"web*":                     {"api_00", "api_01", "cron"},
		"a/?":                      {"a/b"},
		"nobody":                   nil,
		"--host web1*":             {"api_00", "api_01"},
		"--group api --group cron": {"api_00", "api_01", "cron"},
		"--group api,cron":         {"api_00", "api_01", "cron"},
		"--group {api,cron}":       {"api_00", "api_01", "cron"},
		"--process *_01":           {"api_01"},
		"--host web2 api*":         nil,
		"api":                      {"api_00", "api_01"}, // a group
	} {
		got := i.psNames(args)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", args, d)
		}
	}
}

func TestPsJSONIsOneArray(t *testing.T) {
	i := newInstallation(t)
	list := func(args ...string) (hosts []string) {
		t.Helper()
		out := i.run(append([]string{"ps", "-o", "json"}, args...)...)
		var states []schema.ProcessRecord
		if err := json.Unmarshal([]byte(out), &states); err != nil || states == nil {
			t.Fatalf("%q: %v", out, err)
		}
		for _, s := range states {
			hosts = append(hosts, s.Host)
		}
		return hosts
	}
	if got := list(); got != nil {
		t.Errorf("%v in an empty bucket", got)
	}
	if out := i.run("ps"); out != "" {
		t.Errorf("JSON lines of an empty bucket are %q", out)
	}
	i.fleet()
	if got := list("--host", "nobody"); got != nil {
		t.Errorf("%v", got)
	}
	if got := list(); !slices.Equal(got, []string{"db", "web1.example.com", "web1.example.com", "web2"}) {
		t.Errorf("%v", got)
	}
}

func TestPsOfNobody(t *testing.T) {
	i := newInstallation(t)
	out, errs, code := supernats(t, "ps", "-o", "table", "nobody", "--nats-url", i.url)
	if code != program.ExitDone || out != "" || !strings.Contains(errs, "no process is known that matches") {
		t.Errorf("%d %q %q", code, out, errs)
	}
}
