package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/fleettest"
	"supernats/consumer/inspect"
	"supernats/schema"
	"supernats/schema/program"
	"supernats/schema/stream"
)

// put writes a record into a bucket.
func (i *installation) put(bucket, key string, record any) {
	i.Helper()
	kv, err := i.js.KeyValue(i.Context(), bucket)
	if err != nil {
		i.Fatal(err)
	}
	b, err := schema.Marshal(record)
	if err != nil {
		i.Fatal(err)
	}
	if _, err := kv.Put(i.Context(), key, b); err != nil {
		i.Fatal(err)
	}
}

func (i *installation) host(h schema.HostRecord) { i.put(stream.HostsBucket, schema.Token(h.Host), h) }

func (i *installation) ago(d time.Duration) schema.Time {
	return schema.Time{Time: time.Now().Add(-d).UTC()}
}

// hosts are a silent one, one whose record is old but not its last snapshot, one
// that is well, and one whose record says nothing of it.
func (i *installation) hosts() {
	i.host(schema.HostRecord{
		Host: "web2", BridgeVersion: "v1.0.0", SupervisorVersion: "4.2.5", SupervisorState: "RUNNING",
		LastSeen: i.ago(10 * time.Minute), Running: 7, Down: 1, Stopped: 2, Lost: 12, LastLoss: new(i.ago(26 * time.Hour)),
	})
	i.host(schema.HostRecord{Host: "db1.example.com", BridgeVersion: "v1.2.3", SupervisorVersion: "4.2.5", SupervisorState: "SHUTDOWN", LastSeen: i.ago(time.Hour)})
	i.publish(schema.SnapshotSubject("db1.example.com"), []byte("{}"))
	i.host(schema.HostRecord{Host: "web1", BridgeVersion: "v1.2.3", SupervisorVersion: "4.3.0", SupervisorState: "RUNNING", LastSeen: i.ago(2 * time.Second), Running: 3, Exited: 4})
	i.host(schema.HostRecord{Host: "old"})
}

var (
	aSpan  = regexp.MustCompile(`\b(\d+[dhms])+\b`)
	spaces = regexp.MustCompile(`  +`)
)

// narrow makes a table independent of the day on which it is printed.
func narrow(table string) string {
	return aSpan.ReplaceAllString(spaces.ReplaceAllString(table, "  "), "SPAN")
}

func TestHosts(t *testing.T) {
	i := newInstallation(t)
	i.hosts()
	want := `HOST  LAST SEEN  SUPERVISORD  STATE  TROUBLE  CLOCK  BRIDGE  RUNNING  DOWN  STOPPED  EXITED  LOST  LAST LOSS
db1.example.com  SPAN ago  4.2.5  SHUTDOWN  -  -  v1.2.3  0  0  0  0  -  -
old  -  -  -  -  -  -  0  0  0  0  -  -
web1  SPAN ago  4.3.0  RUNNING  -  -  v1.2.3  3  0  0  4  -  -
web2  SPAN ago  4.2.5  unknown since DATE  -  -  v1.0.0  -  -  -  -  12  DATE
`
	got := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`).ReplaceAllString(narrow(i.run("hosts", "-o", "table")), "DATE")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var list []struct {
		Host  string     `json:"host"`
		Since *time.Time `json:"unknown_since"`
	}
	if err := json.Unmarshal([]byte(i.run("hosts", "-o", "json", "web*")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Host != "web1" || list[0].Since != nil || list[1].Host != "web2" || list[1].Since == nil || time.Since(*list[1].Since) < 9*time.Minute {
		t.Errorf("%+v", list)
	}
	if out := i.run("hosts", "nobody"); out != "" {
		t.Errorf("%q", out)
	}
}

func TestPsOfSilentHostsAndGoneProcesses(t *testing.T) {
	i := newInstallation(t)
	i.hosts()
	for _, host := range []string{"web1", "web2", "db1.example.com", "old", "without record"} {
		i.state(schema.ProcessRecord{Host: host, Group: "api", Process: "api", State: "RUNNING", Since: i.ago(time.Hour)})
	}
	i.state(schema.ProcessRecord{Host: "web1", Group: "was", Process: "was", State: "STOPPED", Gone: new(i.ago(time.Hour))})
	i.state(schema.ProcessRecord{Host: "web2", Group: "was", Process: "was", State: "STOPPED", Gone: new(i.ago(time.Hour))})
	type row struct{ Who, State, For string }
	table := func(args ...string) (rows []row) {
		t.Helper()
		for line := range strings.Lines(i.run(append([]string{"ps", "-o", "table"}, args...)...)) {
			f := regexp.MustCompile(`  +`).Split(line, 5)
			rows = append(rows, row{f[0] + " " + f[1], f[2], regexp.MustCompile(`\d+s$`).ReplaceAllString(f[3], "")})
		}
		return rows[1:]
	}
	now := []row{
		{"db1.example.com api", "RUNNING", "1h0m"},
		{"old api", "RUNNING", "1h0m"},
		{"web1 api", "RUNNING", "1h0m"},
		{"web2 api", "unknown (was RUNNING)", "10m"},
		{"without record api", "RUNNING", "1h0m"},
	}
	if d := cmp.Diff(now, table()); d != "" {
		t.Error(d)
	}
	all := []row{now[0], now[1], now[2], {"web1 was", "gone (was STOPPED)", "1h0m"}, now[3], {"web2 was", "gone (was STOPPED)", "1h0m"}, now[4]}
	if d := cmp.Diff(all, table("--all")); d != "" {
		t.Error(d)
	}
	var s struct {
		State string     `json:"state"`
		Since *time.Time `json:"unknown_since"`
	}
	if err := json.Unmarshal([]byte(i.run("ps", "--host", "web2")), &s); err != nil || s.State != "RUNNING" || s.Since == nil {
		t.Errorf("%+v %v", s, err)
	}
}

// A host whose supervisord has ended: hosts, ps, ps --down and doctor agree on what is
// known of it, at once and when it has been silent for long.
func TestEndedSupervisord(t *testing.T) {
	i := newInstallation(t)
	i.leased()
	life := func(state string, ago time.Duration, stopping bool) schema.HostRecord {
		at := i.ago(ago)
		l := schema.HostLife{Boot: "a", Server: "supervisor", SupervisorState: state, Begun: i.ago(2 * time.Hour), Happened: at, FirstSeen: i.ago(2 * time.Hour), LastSeen: at, Steady: i.ago(2 * time.Hour)}
		h := schema.HostRecord{
			Boot: "a", Server: "supervisor", SupervisorState: state, BridgeVersion: "v1.2.3", LastSeen: at, Running: 1, Stopped: 1,
			Bridges: []schema.HostBridge{{Pool: "supernats", Boot: "a", Stopped: &at, LastSeen: at}},
		}
		if stopping {
			l.Stopping, h.Stopping = &at, &at
		}
		h.Lives = []schema.HostLife{l}
		return h
	}
	for host, h := range map[string]schema.HostRecord{
		"died": life("GONE", 2*time.Second, false), "died-long-ago": life("GONE", time.Hour, false),
		"shut": life("STOPPING", 2*time.Second, true), "shut-long-ago": life("STOPPING", time.Hour, true),
	} {
		h.Host = host
		i.host(h)
		i.state(schema.ProcessRecord{Host: host, Group: "api", Process: "api", Boot: "a", State: "RUNNING", Since: i.ago(90 * time.Minute)})
		i.state(schema.ProcessRecord{Host: host, Group: "off", Process: "off", Boot: "a", State: "STOPPED", Since: i.ago(90 * time.Minute)})
	}

	dates := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	lines := func(columns int, args ...string) (list []string) {
		t.Helper()
		for line := range strings.Lines(i.run(append(args, "-o", "table")...)) {
			cells := regexp.MustCompile(`  +`).Split(strings.TrimSpace(line), columns+1)
			list = append(list, dates.ReplaceAllString(strings.Join(cells[:columns], ", "), "DATE"))
		}
		return list[1:]
	}
	i.wants("ps", lines(3, "ps"),
		"died, api, unknown (was RUNNING)", "died, off, unknown (was STOPPED)",
		"died-long-ago, api, unknown (was RUNNING)", "died-long-ago, off, unknown (was STOPPED)",
		"shut, api, stopping (was RUNNING)", "shut, off, STOPPED",
		"shut-long-ago, api, stopped (was RUNNING)", "shut-long-ago, off, STOPPED")
	i.wants("ps --down", lines(2, "ps", "--down"), "died, api", "died-long-ago, api")
	i.wants("ps --state STOPPED", lines(2, "ps", "--state", "STOPPED"), "died, off", "died-long-ago, off", "shut, off", "shut-long-ago, api", "shut-long-ago, off")

	var hosts []string
	for _, line := range lines(11, "hosts") {
		cells := strings.Split(line, ", ")
		if cells[3] == "died" { // "died, unknown since"
			cells = append([]string{cells[0], cells[1], cells[2], cells[3] + ", " + cells[4]}, cells[5:]...)
		}
		hosts = append(hosts, cells[0]+": "+cells[3]+": "+strings.Join(cells[7:10], " "))
	}
	i.wants("hosts", hosts,
		"died: died, unknown since DATE: - - -", "died-long-ago: died, unknown since DATE: - - -",
		"shut: STOPPING: 1 0 1", "shut-long-ago: shut down since DATE: 0 0 2")

	var found []string
	for _, f := range i.doctor(program.ExitFailed) {
		if strings.Contains(f, " hosts: ") {
			found = append(found, f[:strings.Index(f, " [")])
		}
	}
	i.wants("doctor", found,
		"fail hosts: host died: its supervisord died without a shutdown SPAN ago: nobody knows whether its processes live, and nobody starts them again",
		"fail hosts: host died-long-ago: its supervisord died without a shutdown SPAN ago: nobody knows whether its processes live, and nobody starts them again",
		"warn hosts: 1 host is shut down, as its supervisord announced, and not back: shut-long-ago (SPAN)")
}

func TestHostWithSeveralSupervisords(t *testing.T) {
	i := newInstallation(t)
	i.host(fleettest.HostWithSeveralSupervisords(time.Now()))
	table := narrow(i.run("hosts", "-o", "table"))
	if !strings.Contains(table, "box  SPAN ago  -  RUNNING, 1 of 2 supervisords silent  disk-full clock …  +SPAN  v1.2.3  2") {
		t.Error(table)
	}
	var h inspect.Host
	if err := json.Unmarshal([]byte(i.run("hosts", "-o", "jsonl")), &h); err != nil || len(h.Lives) != 3 || len(h.Troubles) != 3 || h.Supervisords != 2 || h.Silent != 1 {
		t.Errorf("%+v %v", h, err)
	}

	i.state(schema.ProcessRecord{Host: "box", Group: "web", Process: "web", Boot: "a", State: "RUNNING", Since: i.ago(time.Hour)})
	i.state(schema.ProcessRecord{Host: "box", Group: "job", Process: "job", Boot: "b", State: "RUNNING", Since: i.ago(time.Hour)})
	table = narrow(i.run("ps", "-o", "table"))
	if !strings.Contains(table, "box  job  unknown (was RUNNING)  SPAN") || !strings.Contains(table, "box  web  RUNNING  SPAN") {
		t.Error(table)
	}

	// supernats consume has been away for an hour, the host has not: nobody knows
	// which of its supervisords are silent.
	h = inspect.Host{HostRecord: fleettest.HostWithSeveralSupervisords(time.Now().Add(-time.Hour))}
	h.HostRecord.Lives[2].LastSeen = h.HostRecord.LastSeen
	i.host(h.HostRecord)
	i.publish(schema.SnapshotSubject("box"), []byte("{}"))
	if table := i.run("ps", "-o", "table"); strings.Contains(table, "unknown") {
		t.Error(table)
	}
}
