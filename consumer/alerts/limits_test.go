package alerts_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"supernats/consumer/alerts"
	"supernats/consumer/rules"
	"supernats/schema"
)

// Logs in all that is not reported yet are bounded; the events are listed without.
func TestLogsOfAllAlertsAreBounded(t *testing.T) {
	w := newWorld(t, options(), crashRule(func(c *rules.Config) { c.GroupWait = dur(time.Minute) }))
	log := &schema.Log{Stdout: strings.Repeat("x", 10_000), Stderr: strings.Repeat("x", 10_000)}
	crash := func(n int) {
		for i := range n {
			w.event(0, "EXITED", process(fmt.Sprint(i)), func(e *schema.Event) { e.Log = log })
		}
		w.pass(time.Minute)
	}
	with := func() (n int) {
		for _, n0 := range w.notes {
			if n0.Alert.Events[0].Log != nil {
				n++
			}
		}
		return n
	}
	crash(4500)
	if n := with(); len(w.notes) != 4500 || n != 4096 {
		t.Errorf("%d notifications, %d with logs", len(w.notes), n)
	}
	w.pass(10 * time.Minute)
	w.notes = nil
	crash(4000) // what was reported takes nothing any more
	if n := with(); len(w.notes) != 4000 || n != 4000 {
		t.Errorf("%d notifications, %d with logs", len(w.notes), n)
	}
}

// A message holds the record of an alert, however many processes it is about.
func TestMembersAreBounded(t *testing.T) {
	w := newWorld(t, options(), crashRule(func(c *rules.Config) { c.GroupBy = rules.List{"group"} }))
	for i := range 10_500 {
		w.event(time.Millisecond, "EXITED", onHost(fmt.Sprint("web", i)))
	}
	w.flush()
	r := w.records["exit.-.api.-"]
	b, err := schema.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Members) < 7000 || r.Count != 10_500 || len(b) > 800_000 {
		t.Errorf("%d members of %d, %d bytes", len(r.Members), r.Count, len(b))
	}
	for i := range 10_500 {
		w.event(0, "RUNNING", onHost(fmt.Sprint("web", i)))
	}
	w.pass(time.Minute)
	if n := w.notes[len(w.notes)-1]; n.Type != schema.TypeAlertResolved || n.Alert.Count != 10_500 {
		t.Errorf("last is %s", describe(n))
	}
}

// A fleet takes what the package comment says.
func TestMemoryOfProcesses(t *testing.T) {
	const processes = 50_000
	g := alerts.New(compile(t, rules.Defaults(), options()))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range processes {
		m := alerts.Meta{Seq: uint64(i + 1), Stored: t0}
		record := &schema.ProcessRecord{
			Host: "web1", Group: "api", Process: fmt.Sprint("api_", i), State: "RUNNING", Boot: "4f0c6d1e2a90b7c3",
		}
		g.Apply(alerts.Message{Meta: m, Host: "web1", Processes: []*schema.ProcessRecord{record}})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / processes; each > 600 {
		t.Errorf("%d bytes for each process", each)
	} else {
		t.Logf("%d bytes for each process", each)
	}
	runtime.KeepAlive(g)
}

// So does one on a server that takes less, however long the names are; what is not
// reported yet is reported sooner.
func TestRecordsFitSmallServers(t *testing.T) {
	for name, c := range map[string]struct{ room, name int }{"32 KB": {room: 32 << 10, name: 10}, "64 KB": {room: 64 << 10, name: 10}, "long names": {room: 1 << 20, name: 250}, "both": {room: 32 << 10, name: 250}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options(), crashRule(func(c *rules.Config) { c.GroupBy, c.GroupWait = rules.List{"host"}, dur(time.Hour) }),
				rules.Config{Name: "down", State: rules.List{"FATAL"}, GroupBy: rules.List{"host"}, GroupWait: dur(time.Hour)})
			w.LimitRecords(c.room)
			const n = 6000
			for i := range n {
				p := process(fmt.Sprintf("%0*d", c.name, i))
				w.event(time.Millisecond, "EXITED", p)
				w.event(0, "FATAL", p)
				if i%500 == 0 {
					w.flush()
				}
			}
			w.flush()
			for key, r := range w.records {
				if b, err := schema.Marshal(r); err != nil || len(b) > c.room {
					t.Errorf("%s has %d bytes: %v", key, len(b), err)
				}
			}
			w.pass(2 * time.Hour)
			listed := map[string]bool{}
			for _, note := range w.notes {
				for _, e := range note.Alert.Events {
					listed[note.Alert.Rule+e.ID] = true
				}
			}
			if len(listed) != 2*n {
				t.Errorf("%d events of %d are reported", len(listed), 2*n)
			}
		})
	}
}

// Names that a host invents open so many alerts and no more; the others are reported together,
// each with its names, and their end too.
func TestOpenAlertsOfAHostAreBounded(t *testing.T) {
	const most, n = 10_000, 10_050
	w := newWorld(t, options(), crashRule(), rules.Config{Name: "down", State: rules.List{"FATAL"}})
	other := onHost("db1")
	for i := range n {
		w.event(time.Millisecond, "EXITED", process(fmt.Sprint("invented", i)))
	}
	w.event(0, "FATAL", process("one-more"))
	w.event(0, "EXITED", other)
	w.pass(time.Hour / 2)
	alerts, listed := map[string]bool{}, map[string]int{}
	for _, note := range w.notes {
		alerts[note.Alert.Rule+" "+note.Alert.Host+" "+note.Alert.Process] = true
		for _, e := range note.Alert.Events {
			listed[note.Alert.Rule]++
			if note.Alert.Process == "" && (e.Process == "" || e.Group != "api" || e.Host == "") {
				t.Errorf("%+v", e)
			}
		}
	}
	if len(alerts) != most+3 || !alerts["exit web1 "] || !alerts["down web1 "] || alerts["exit web1 invented10001"] || !alerts["exit db1 api_00"] {
		t.Errorf("%d alerts", len(alerts))
	}
	if listed["exit"] != n+1 || listed["down"] != 1 {
		t.Errorf("reported are %v", listed)
	}
	for i, note := range w.notes { // that of the crowd too
		w.Published(note.Alert, uint64(i+1))
	}
	w.flush()
	for key, r := range w.records {
		if r.Notifications > 0 && r.FirstSeq == 0 {
			t.Errorf("nobody knows where the notifications of %s are", key)
		}
	}
	w.notes = nil
	w.restart()
	for i := range n {
		w.event(0, "RUNNING", process(fmt.Sprint("invented", i)))
	}
	w.event(0, "RUNNING", process("one-more"))
	w.pass(time.Minute)
	resolved := 0
	for _, note := range w.notes {
		if note.Type == schema.TypeAlertResolved {
			resolved++
		}
	}
	if resolved != most+2 {
		t.Errorf("%d have ended", resolved)
	}
}

// A fleet in which everything flaps takes no more than there is room for: what waits is
// reported sooner then, and nothing of it is lost.
func TestUnreportedEventsAreBounded(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	const processes, rounds = 4000, 45
	listed, seen, most := 0, 0, 0
	count := func() {
		for ; seen < len(w.notes); seen++ {
			listed += len(w.notes[seen].Alert.Events)
		}
	}
	for round := range rounds {
		for i := range processes {
			m := w.meta(time.Millisecond)
			e := &schema.Event{Event: schema.ProcessStateExited, Expected: p(false), Host: "web1", Boot: "b", Serial: m.Seq, Group: "api", Process: fmt.Sprint(i)}
			w.applyEvent(m, e.Envelope(w.at), w.horizon)
		}
		w.pass(20 * time.Second)
		count()
		most = max(most, (round+1)*processes-listed)
	}
	if most > 105_000 || most < 95_000 {
		t.Errorf("up to %d events wait", most)
	}
	w.pass(4 * time.Hour)
	if count(); listed != processes*rounds || len(w.notes) > 6*processes {
		t.Errorf("%d of %d events are listed in %d notifications", listed, processes*rounds, len(w.notes))
	}
}
