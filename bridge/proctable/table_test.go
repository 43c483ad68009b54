package proctable

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

// session is what a table sees of one supervisord.
type session struct {
	t          *testing.T
	table      *Table
	serial     uint64
	poolSerial uint64
	pool       string
	boot       string
	now        time.Time
}

func newSession(t *testing.T) *session {
	return &session{t: t, table: new(Table), serial: 100, pool: "supernats", boot: "b1", now: time.Unix(2000, 0)}
}

func (s *session) event(name, payload string) {
	s.table.Event(Event{
		Boot: s.boot, Name: name, Pool: s.pool, Serial: s.serial, PoolSerial: s.poolSerial,
		Payload: []byte(payload + "\nnothing: pid:1"), At: s.now,
	})
	s.serial++
	s.poolSerial++
}

// process are events of one: "RUNNING pid:7".
func (s *session) process(name string, events ...string) {
	for _, e := range events {
		state, rest, _ := strings.Cut(e, " ")
		s.event("PROCESS_STATE_"+state, "processname:"+name+" groupname:g from_state:X "+rest)
	}
}

// answer is supervisord's table.
func (s *session) answer(rows ...schema.SnapshotProcess) {
	s.table.Ask()
	s.table.Answer(rows)
}

// newPool is what supervisorctl update makes of a section that was edited; others is
// how many events other pools were given meanwhile.
func (s *session) newPool(others uint64) {
	s.serial += others
	s.poolSerial = 0
	s.now = s.now.Add(time.Hour)
	s.event("PROCESS_GROUP_ADDED", "groupname:supernats")
}

func proc(name, state string, pid int, start, stop int64) schema.SnapshotProcess {
	return schema.SnapshotProcess{Group: "g", Process: name, State: state, PID: pid, Start: start, Stop: stop}
}

type counts struct{ starts, exits int }

func TestCompare(t *testing.T) {
	running := []schema.SnapshotProcess{proc("web", "RUNNING", 7, 1000, 0)}
	exited := []schema.SnapshotProcess{proc("web", "EXITED", 0, 1000, 1100)}
	now := func(state string, pid int, start, stop int64) []schema.SnapshotProcess {
		return []schema.SnapshotProcess{proc("web", state, pid, start, stop)}
	}
	for name, c := range map[string]struct {
		before  []schema.SnapshotProcess
		earlier []string // events of the pool before, after the table
		later   []string // of the next one
		now     []schema.SnapshotProcess
		want    counts
	}{
		"nothing":               {before: running, now: running},
		"restarted":             {before: running, now: now("RUNNING", 8, 3000, 2999), want: counts{1, 1}},
		"crashed":               {before: running, now: now("EXITED", 0, 1000, 3000), want: counts{0, 1}},
		"came back and crashed": {before: running, now: now("EXITED", 0, 3000, 3001), want: counts{1, 2}},
		"started":               {before: exited, now: now("RUNNING", 8, 3000, 1100), want: counts{1, 0}},
		"started twice":         {before: exited, now: now("RUNNING", 9, 3002, 3001), want: counts{2, 1}},
		"ran once":              {before: exited, now: now("EXITED", 0, 3000, 3001), want: counts{1, 1}},
		"stayed down":           {before: exited, now: exited},
		"added":                 {now: now("RUNNING", 8, 3000, 0), want: counts{1, 0}},
		"added, not started":    {now: now("STOPPED", 0, 0, 0)},
		"removed":               {before: running, want: counts{0, 1}},
		"removed while down":    {before: exited},

		// Corrected by the events before.
		"restarted before": {
			before: running, earlier: []string{"EXITED pid:7", "STARTING", "RUNNING pid:8"},
			now: now("RUNNING", 8, 1999, 1998),
		},
		"crashed before": {
			before: running, earlier: []string{"EXITED pid:7", "STARTING", "BACKOFF", "FATAL"},
			now: now("FATAL", 0, 1999, 1999),
		},
		"starting at the end": {before: exited, earlier: []string{"STARTING"}, now: now("RUNNING", 8, 1999, 1100)},
		"the same, then again": {
			before: exited, earlier: []string{"STARTING"}, now: now("RUNNING", 9, 2500, 2400), want: counts{1, 1},
		},
		"end of an earlier pid": {before: running, earlier: []string{"EXITED pid:6"}, now: running},

		// Told by the events after.
		"restarted after": {
			before: running, later: []string{"EXITED pid:7", "STARTING", "RUNNING pid:9"},
			now: now("RUNNING", 9, 5601, 5600),
		},
		"restarted between and after": {
			before: running, later: []string{"EXITED pid:8", "STARTING", "RUNNING pid:9"},
			now: now("RUNNING", 9, 5601, 5600), want: counts{1, 1},
		},
		"crashed between, started then": {
			before: running, later: []string{"STARTING", "RUNNING pid:9"}, now: now("RUNNING", 9, 5601, 4000),
			want: counts{0, 1},
		},
		"came up between": {
			before: exited, later: []string{"RUNNING pid:9"}, now: now("RUNNING", 9, 5599, 1100), want: counts{1, 0},
		},
		"started after": {
			before: exited, later: []string{"STARTING", "RUNNING pid:9"}, now: now("RUNNING", 9, 5601, 1100),
		},
		"stopped after": {
			before: running, later: []string{"STOPPING pid:7", "STOPPED pid:7"}, now: now("STOPPED", 0, 1000, 5602),
		},
		"failed to start after": {
			before: running, later: []string{"BACKOFF", "STARTING", "BACKOFF", "FATAL"},
			now: now("FATAL", 0, 5601, 5602),
		},
		"crashed after the table": {before: running, later: []string{"EXITED pid:7"}, now: running},
		"a kill that failed":      {before: running, later: []string{"UNKNOWN"}, now: running},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			s.event("TICK_5", "when:1")
			s.answer(c.before...)
			s.process("web", c.earlier...)
			s.newPool(5)
			if !s.table.Due() {
				t.Fatal("no comparison is due")
			}
			s.process("web", c.later...)
			loss := s.table.Compare(c.now, true, true)
			var got counts
			if loss != nil {
				if len(loss.Processes) != 1 || loss.Boot != "b1" || loss.Pool != "supernats" ||
					loss.Count != uint64(loss.Processes[0].Starts+loss.Processes[0].Exits) {
					t.Errorf("loss is %+v", loss)
				}
				got = counts{loss.Processes[0].Starts, loss.Processes[0].Exits}
			}
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if s.table.Due() || s.table.Compare(nil, true, true) != nil {
				t.Error("a comparison is due again")
			}
		})
	}
}

// Where the events tell it all, or nothing can be known, nothing is compared.
func TestNothingDue(t *testing.T) {
	running := proc("web", "RUNNING", 7, 1000, 0)
	for name, do := range map[string]func(*session){
		"the pool goes on":         func(s *session) { s.event("TICK_5", "when:2") },
		"offered again":            func(s *session) { s.serial--; s.poolSerial--; s.event("TICK_5", "when:2") },
		"refused by somebody else": func(s *session) { s.serial -= 1; s.poolSerial = 0; s.event("TICK_5", "when:2"); s.poolSerial = 51 },
		"another supervisord": func(s *session) {
			s.boot, s.serial, s.poolSerial = "b2", 3, 0
			s.event("TICK_5",
				"when:2")
		},
		"reloaded": func(s *session) {
			s.newPool(0)
			s.event("PROCESS_GROUP_ADDED", "groupname:web")
			s.event("SUPERVISOR_STATE_CHANGE_RUNNING", "")
		},
		"stopped to be reloaded":      func(s *session) { s.table.Forget(); s.newPool(0) },
		"after events that were lost": func(s *session) { s.poolSerial += 3; s.event("TICK_5", "when:2"); s.newPool(0) },
		"its own events are lost":     func(s *session) { s.newPool(0); s.poolSerial += 3; s.event("TICK_5", "when:2") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			s.poolSerial = 50
			s.event("TICK_5", "when:1")
			s.answer(running)
			if do(s); s.table.Due() {
				t.Error("a comparison is due")
			}
			// From the next table on it is as ever.
			s.event("TICK_5", "when:3")
			s.answer(running)
			if s.newPool(1); !s.table.Due() {
				t.Error("no comparison is due")
			}
		})
	}
	s := newSession(t)
	s.answer(running)
	s.event("TICK_5", "when:1")
	if s.newPool(0); s.table.Due() {
		t.Error("a table without a place is compared")
	}
}

// Another name of the section is another pool, whose serial may be any.
func TestRenamedSection(t *testing.T) {
	s := newSession(t)
	s.event("TICK_5", "when:1")
	s.answer(proc("web", "RUNNING", 7, 1000, 0), schema.SnapshotProcess{
		Group: "supernats", Process: "x", PID: 10, Start: 1000,
	})
	s.pool, s.poolSerial = "events", 40
	s.event("TICK_5", "when:2")
	now := []schema.SnapshotProcess{
		proc("web", "RUNNING", 8, 3000, 2999), {Group: "events", Process: "x", PID: 20, Start: 3000},
	}
	if loss := s.table.Compare(now, true, true); loss == nil || loss.Count != 2 {
		t.Errorf("loss is %+v", loss)
	}
}

// Events that come while supervisord answers are not forgotten for its answer.
func TestEventsWhileAsked(t *testing.T) {
	s := newSession(t)
	s.event("TICK_5", "when:1")
	s.table.Ask()
	s.process("web", "EXITED pid:7")
	s.table.Answer([]schema.SnapshotProcess{proc("web", "RUNNING", 7, 1000, 0)})
	s.newPool(0)
	if loss := s.table.Compare([]schema.SnapshotProcess{proc("web", "EXITED", 0, 1000, 1999)}, true, true); loss != nil {
		t.Errorf("loss is %+v", loss)
	}
}

// The table lives on in a file, corrected by the events since.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	s := newSession(t)
	s.event("TICK_5", "when:1")
	s.answer(proc("web", "RUNNING", 7, 1000, 0), proc("api", "STOPPED", 0, 0, 0))
	again := func() {
		t.Helper()
		s.table = new(Table)
		s.table.Load(dir)
	}
	save := func() {
		t.Helper()
		if err := s.table.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	restart := func() { s.process("web", "EXITED pid:7", "STARTING", "RUNNING pid:8") }

	save()
	again()
	restart() // read from the spool
	s.newPool(1)
	save() // what was kept is needed until it is compared
	again()
	s.serial, s.poolSerial = 101, 1
	restart()
	s.newPool(1)
	now := []schema.SnapshotProcess{proc("web", "RUNNING", 9, 3000, 2999), proc("api", "RUNNING", 10, 3000, 0)}
	want := []schema.LossProcess{
		{Group: "g", Process: "web", Starts: 1, Exits: 1}, {Group: "g", Process: "api", Starts: 1},
	}
	loss := s.table.Compare(now, true, true)
	if loss == nil || loss.Count != 3 || loss.Events["PROCESS_STATE_STARTING"] != 2 || !cmp.Equal(loss.Processes, want) {
		t.Errorf("loss is %+v", loss)
	}
	save()
	again()
	if s.newPool(0); s.table.Compare(now, true, true) != nil {
		t.Error("what was compared is compared again")
	}

	s.table.Forget()
	save()
	if _, err := os.Stat(dir + "/table"); !os.IsNotExist(err) {
		t.Errorf("a table that is forgotten is kept: %v", err)
	}
	if err := os.WriteFile(dir+"/table", []byte(`{"boot":"b1","processes":[{`), 0o644); err != nil {
		t.Fatal(err)
	}
	again()
	if s.newPool(0); s.table.Due() {
		t.Error("a damaged file is used")
	}
}

// A host of many processes makes a list of some.
func TestLongList(t *testing.T) {
	s := newSession(t)
	s.event("TICK_5", "when:1")
	s.answer()
	s.newPool(0)
	var now []schema.SnapshotProcess
	for i := range 1000 {
		now = append(now, proc(fmt.Sprint(i), "RUNNING", 10+i, 3000, 0))
	}
	loss := s.table.Compare(now, true, true)
	if loss.Count != 1000 || len(loss.Processes) != maxListed {
		t.Errorf("count %d, %d processes", loss.Count, len(loss.Processes))
	}
}
