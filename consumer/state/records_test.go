package state_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/state"
	"supernats/schema"
)

// table is a snapshot of boot a.
func table(serial uint64, rows ...schema.SnapshotProcess) *schema.Snapshot {
	return &schema.Snapshot{
		Host: "web1", Server: "supervisor", Boot: "a", Serial: serial, SupervisorVersion: "4.2.5", SupervisorState: "RUNNING", Processes: rows,
	}
}

func row(state string, change ...func(*schema.SnapshotProcess)) schema.SnapshotProcess {
	r := schema.SnapshotProcess{Group: "api", Process: "api_00", State: state}
	for _, f := range change {
		f(&r)
	}
	return r
}

// second is a Unix time of the test's day.
func second(n int) int64 { return at(n).Unix() }

// early is a snapshot that was taken in the first second.
type early struct{ *schema.Snapshot }

// history applies steps and snapshots; each is stored at the second of its number.
func history(all ...any) *state.Fleet {
	f := state.NewFleet()
	for i, one := range all {
		n := i + 1
		switch one := one.(type) {
		case step:
			f.Event(meta(n), one.envelope(n))
		case *schema.Event:
			f.Event(meta(n), one.Envelope(at(n).Time))
		case *schema.Snapshot:
			f.Snapshot(meta(n), one.Envelope(at(n).Time))
		case early:
			f.Snapshot(meta(n), one.Envelope(at(1).Time))
		case *schema.Loss:
			f.Loss(meta(n), one.Envelope(at(n).Time))
		}
	}
	return f
}

// When a process was started is known from its event, to the microsecond, or from the next
// table.
func TestWhenItWasStarted(t *testing.T) {
	ran := row("RUNNING", func(r *schema.SnapshotProcess) { r.PID, r.Start = 7, second(-60) })
	starting := step{event: "STARTING", boot: "a", serial: 6}
	running := step{event: "RUNNING", boot: "a", serial: 7, pid: 7}
	for _, c := range []struct {
		name    string
		history []any
		want    *schema.Time
	}{
		{name: "its event is better than a table", history: []any{starting, running, table(8, ran)}, want: atp(1)},
		{name: "its event was lost", history: []any{running}},
		{name: "its event was lost, and the table has it", history: []any{running, table(8, ran)}, want: atp(-60)},
		{name: "the event of its second life was lost", history: []any{starting, running, step{event: "RUNNING", boot: "a", serial: 9, pid: 8}}},
		{name: "it has ended", history: []any{starting, running, step{event: "EXITED", boot: "a", serial: 9, pid: 7}}},
		{name: "it is gone", history: []any{table(5, ran), table(5)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := history(c.history...).State("web1", "api", "api_00")
			if d := cmp.Diff(c.want, got.Started); d != "" {
				t.Error(d)
			}
		})
	}
}

// The exit status is that of the first table after an end, and of no other life.
func TestExitStatus(t *testing.T) {
	running := step{event: "RUNNING", boot: "a", serial: 5, pid: 7}
	stopped := step{event: "STOPPED", boot: "a", serial: 9, pid: 7}
	status := func(state string, n int) *schema.Snapshot {
		return table(9, row(state, func(r *schema.SnapshotProcess) { r.ExitStatus = n }))
	}
	for _, c := range []struct {
		name    string
		history []any
		want    *int
	}{
		{name: "until then it is not known", history: []any{running, stopped}},
		{name: "a table has it", history: []any{running, stopped, status("STOPPED", -1)}, want: p(-1)},
		{name: "an older table has not", history: []any{running, stopped, table(8, row("STOPPED"))}},
		{name: "it is not that of the next life", history: []any{running, stopped, status("STOPPED", -1), step{event: "STARTING", boot: "a", serial: 10}}},
		{name: "an end as expected has one too", history: []any{running, step{event: "EXITED", boot: "a", serial: 9, pid: 7, expected: p(true)}, status("EXITED", 2)}, want: p(2)},
		{name: "what runs has none", history: []any{running, table(9, row("RUNNING"))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := history(c.history...).State("web1", "api", "api_00")
			if d := cmp.Diff(c.want, got.ExitStatus); d != "" {
				t.Error(d)
			}
		})
	}
}

// What a table shows of a process that nothing else is known of.
func TestARow(t *testing.T) {
	pid := func(n int) func(*schema.SnapshotProcess) { return func(r *schema.SnapshotProcess) { r.PID = n } }
	times := func(start, stop int64) func(*schema.SnapshotProcess) {
		return func(r *schema.SnapshotProcess) { r.Start, r.Stop = start, stop }
	}
	end := func(status int, spawnErr string) func(*schema.SnapshotProcess) {
		return func(r *schema.SnapshotProcess) { r.ExitStatus, r.SpawnErr = status, spawnErr }
	}
	for name, c := range map[string]struct {
		row    schema.SnapshotProcess
		want   schema.ProcessRecord
		status string
	}{
		"runs":                         {row: row("RUNNING", pid(7), times(second(-60), second(-90))), want: schema.ProcessRecord{State: "RUNNING", Since: at(-60), PID: 7, Started: atp(-60)}, status: state.Running},
		"started in the future":        {row: row("RUNNING", pid(7), times(second(60), 0)), want: schema.ProcessRecord{State: "RUNNING", Since: at(1), PID: 7, Started: atp(1)}, status: state.Running},
		"starts":                       {row: row("STARTING", pid(7), times(second(-1), 0)), want: schema.ProcessRecord{State: "STARTING", Since: at(-1), PID: 7, Started: atp(-1)}, status: state.Down},
		"never started":                {row: row("STOPPED"), want: schema.ProcessRecord{State: "STOPPED", ExitStatus: p(0), Since: at(1)}, status: state.Stopped},
		"stopped":                      {row: row("STOPPED", times(second(-60), second(-30)), end(-1, "")), want: schema.ProcessRecord{State: "STOPPED", ExitStatus: p(-1), Since: at(-30)}, status: state.Stopped},
		"stops":                        {row: row("STOPPING", pid(7), times(second(-60), second(-90))), want: schema.ProcessRecord{State: "STOPPING", Since: at(1), PID: 7, Started: atp(-60)}, status: state.Stopped},
		"ran to its end":               {row: row("EXITED", times(second(-60), second(-30))), want: schema.ProcessRecord{State: "EXITED", ExitStatus: p(0), Since: at(-30), Expected: p(true), Exit: &schema.Exit{Code: p(0)}, LastExit: atp(-30)}, status: state.Exited},
		"crashed":                      {row: row("EXITED", times(second(-60), second(-30)), end(3, "Bad exit code 3")), want: schema.ProcessRecord{State: "EXITED", ExitStatus: p(3), Since: at(-30), Expected: p(false), Exit: &schema.Exit{Code: p(3)}, LastExit: atp(-30)}, status: state.Down},
		"killed":                       {row: row("EXITED", times(second(-60), second(-30)), end(-1, "Bad exit code -1")), want: schema.ProcessRecord{State: "EXITED", ExitStatus: p(-1), Since: at(-30), Expected: p(false), LastExit: atp(-30)}, status: state.Down},
		"ended, nobody knows if right": {row: row("EXITED", times(second(-60), second(-30)), end(2, "")), want: schema.ProcessRecord{State: "EXITED", ExitStatus: p(2), Since: at(-30), Exit: &schema.Exit{Code: p(2)}, LastExit: atp(-30)}, status: state.Down},
		"exits at start":               {row: row("BACKOFF", times(second(-9), second(-8)), end(0, "Exited too quickly")), want: schema.ProcessRecord{State: "BACKOFF", Since: at(-8), Exit: &schema.Exit{SpawnErr: "Exited too quickly"}, LastExit: atp(-8)}, status: state.Down},
		"cannot be started":            {row: row("FATAL", times(second(-9), second(-90)), end(0, "can't find command")), want: schema.ProcessRecord{State: "FATAL", Since: at(-9), Exit: &schema.Exit{SpawnErr: "can't find command"}}, status: state.Down},
		"given up":                     {row: row("FATAL", times(second(-9), second(-8))), want: schema.ProcessRecord{State: "FATAL", Since: at(-8), LastExit: atp(-8)}, status: state.Down},
		"a port's own state":           {row: row("RESTING", times(second(-9), second(-8))), want: schema.ProcessRecord{State: "UNKNOWN", Since: at(1)}, status: state.Down},
		"pid of one that is gone":      {row: row("STOPPED", pid(7)), want: schema.ProcessRecord{State: "STOPPED", ExitStatus: p(0), Since: at(1)}, status: state.Stopped},
	} {
		t.Run(name, func(t *testing.T) {
			f := history(table(5, c.row))
			c.want.Host, c.want.Group, c.want.Process, c.want.Boot = "web1", "api", "api_00", "a"
			c.want.Seq, c.want.Updated, c.want.Snapshot = 1, schema.Time{Time: meta(1).Stored}, &schema.SnapshotMark{Serial: 5, Time: at(1)}
			c.want.Recorded = c.want.Updated
			got := f.State("web1", "api", "api_00")
			if d := cmp.Diff(&c.want, got); d != "" {
				t.Error(d)
			}
			if status, since := state.Status(got, f.Host("web1"), zero, 0); status != c.status || !since.Equal(got.Since.Time) {
				t.Errorf("it is %s since %s", status, since)
			}
		})
	}
}

// The races between a snapshot and the events around it.
func TestSnapshotsAndEvents(t *testing.T) {
	start, run := step{event: "STARTING", boot: "a", serial: 2}, step{event: "RUNNING", boot: "a", serial: 5, pid: 100}
	crash := step{event: "EXITED", boot: "a", serial: 6, pid: 100, expected: p(false)}
	from := func(s step, state string) *schema.Event {
		e := s.envelope(0).Data
		e.FromState = state
		return e
	}
	ran := func(pid int) func(*schema.SnapshotProcess) {
		return func(r *schema.SnapshotProcess) { r.PID, r.Start = pid, second(0) }
	}
	removed := &schema.Event{Event: schema.ProcessGroupRemoved, Host: "web1", Boot: "a", Serial: 6, Group: "api"}
	for name, c := range map[string]struct {
		all     []any
		state   string
		pid     int
		gone    bool
		exits   uint64
		seq     uint64
		updated int
	}{
		"says the same: nothing is written": {all: []any{start, run, table(5, row("RUNNING", ran(100)))}, state: "RUNNING", pid: 100, gone: false, exits: 0, seq: 2, updated: 2},
		"fixes what was lost":               {all: []any{start, run, table(5, row("FATAL"))}, state: "FATAL", pid: 0, gone: false, exits: 0, seq: 3, updated: 3},
		"other pid: restarted unseen":       {all: []any{start, run, table(5, row("RUNNING", ran(101)))}, state: "RUNNING", pid: 101, gone: false, exits: 0, seq: 3, updated: 3},
		"asked for before an event":         {all: []any{start, run, crash, table(5, row("RUNNING", ran(100)))}, state: "EXITED", pid: 0, gone: false, exits: 1, seq: 3, updated: 3},
		"asked for before a process left":   {all: []any{start, run, crash, table(5)}, state: "EXITED", pid: 0, gone: false, exits: 1, seq: 3, updated: 3},
		"event up to its serial after it":   {all: []any{start, run, table(6, row("FATAL")), from(crash, "RUNNING")}, state: "FATAL", pid: 0, gone: false, exits: 1, seq: 4, updated: 3},
		"event up to its serial after it, of a life that is over": {
			all: []any{table(9, row("STOPPED")), from(step{event: "STARTING", boot: "a", serial: 7}, "STOPPED")}, state: "STOPPED", pid: 0, gone: false, exits: 0, seq: 2, updated: 1,
		},
		"newer than one before it that has shown an event": {
			all:   []any{table(1, row("STARTING", ran(100))), from(step{event: "STARTING", boot: "a", serial: 3}, "STOPPED"), table(2, row("RUNNING", ran(100)))},
			state: "RUNNING", pid: 100, gone: false, exits: 0, seq: 3, updated: 3,
		},
		"older than one before it that has shown an event": {
			all:   []any{nil, table(1, row("STARTING", ran(100))), from(step{event: "STARTING", boot: "a", serial: 3}, "STOPPED"), early{table(3, row("STOPPED"))}},
			state: "STARTING", pid: 100, gone: false, exits: 0, seq: 3, updated: 2,
		},
		"shows an event after it": {
			all:   []any{start, run, table(5, row("STARTING", ran(101))), from(crash, "RUNNING"), from(step{event: "STARTING", boot: "a", serial: 7}, "EXITED")},
			state: "STARTING", pid: 101, gone: false, exits: 1, seq: 5, updated: 3,
		},
		"and then life continues": {
			all: []any{
				start, run, table(5, row("STARTING", ran(101))), from(crash, "RUNNING"), from(step{event: "STARTING", boot: "a", serial: 7}, "EXITED"),
				from(step{event: "RUNNING", boot: "a", serial: 8, pid: 101}, "STARTING"),
			},
			state: "RUNNING", pid: 101, gone: false, exits: 1, seq: 6, updated: 6,
		},
		"an event shows its state again": {all: []any{table(1, row("RUNNING", ran(100))), from(run, "STARTING")}, state: "RUNNING", pid: 100, gone: false, exits: 0, seq: 2, updated: 1},
		"an event of its pid after one that was lost": {
			all:   []any{table(1, row("RUNNING", ran(100))), from(step{event: "STOPPED", boot: "a", serial: 6, pid: 100}, "STOPPING")},
			state: "STOPPED", pid: 0, gone: false, exits: 0, seq: 2, updated: 2,
		},
		"does not follow, but something was lost": {
			all:   []any{table(1, row("RUNNING", ran(100))), &schema.Loss{Host: "web1", Count: 1}, from(step{event: "FATAL", boot: "a", serial: 6}, "BACKOFF")},
			state: "FATAL", pid: 0, gone: false, exits: 0, seq: 3, updated: 3,
		},
		"does not follow, but its pools are new": {
			all:   []any{table(1, row("RUNNING", ran(100))), &schema.Event{Event: schema.SupervisorStateChangeRunning, Host: "web1", Boot: "a", Serial: 2}, from(step{event: "FATAL", boot: "a", serial: 6}, "BACKOFF")},
			state: "FATAL", pid: 0, gone: false, exits: 0, seq: 3, updated: 3,
		},
		"does not follow, but it is long ago": {
			all: []any{
				table(1, row("RUNNING", ran(100))), nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
				from(step{event: "FATAL", boot: "a", serial: 6}, "BACKOFF"),
			},
			state: "FATAL", pid: 0, gone: false, exits: 0, seq: 13, updated: 13,
		},
		"another boot, after one that stopped": {
			all: []any{
				start, run, &schema.Event{Event: schema.SupervisorStateChangeStopping, Host: "web1", Boot: "a", Serial: 6},
				&schema.Snapshot{Host: "web1", Boot: "b", Serial: 1, Processes: []schema.SnapshotProcess{row("STOPPED")}},
			},
			state: "STOPPED", pid: 0, gone: false, exits: 0, seq: 4, updated: 4,
		},
		"another boot, and nobody knows what became of the first": {
			all:   []any{start, run, &schema.Snapshot{Host: "web1", Boot: "b", Serial: 1, Processes: []schema.SnapshotProcess{row("STOPPED")}}},
			state: "RUNNING", pid: 100, gone: false, exits: 0, seq: 2, updated: 2,
		},
		"another boot, event up to its serial": {
			all:   []any{&schema.Snapshot{Host: "web1", Boot: "b", Serial: 9, Processes: []schema.SnapshotProcess{row("STOPPED")}}, run},
			state: "RUNNING", pid: 100, gone: false, exits: 0, seq: 2, updated: 2,
		},
		"left":                       {all: []any{start, run, table(5)}, state: "RUNNING", pid: 0, gone: true, exits: 0, seq: 3, updated: 3},
		"left, and shown again":      {all: []any{start, run, table(5), table(5)}, state: "RUNNING", pid: 0, gone: true, exits: 0, seq: 3, updated: 3},
		"left, and came back":        {all: []any{start, run, table(5), table(5, row("STOPPED"))}, state: "STOPPED", pid: 0, gone: false, exits: 0, seq: 4, updated: 4},
		"left, and started":          {all: []any{start, run, table(5), from(step{event: "STARTING", boot: "a", serial: 9}, "STOPPED")}, state: "STARTING", pid: 0, gone: false, exits: 0, seq: 4, updated: 4},
		"left, and an end is after":  {all: []any{start, run, table(5), from(crash, "RUNNING")}, state: "RUNNING", pid: 0, gone: true, exits: 1, seq: 4, updated: 3},
		"group removed":              {all: []any{start, run, removed}, state: "RUNNING", pid: 0, gone: true, exits: 0, seq: 3, updated: 3},
		"group removed, seen before": {all: []any{start, run, step{event: "STARTING", boot: "a", serial: 7}, removed}, state: "STARTING", pid: 0, gone: false, exits: 0, seq: 3, updated: 3},

		"group removed, and a table asked for before": {all: []any{start, run, removed, table(5, row("STOPPED"))}, state: "RUNNING", pid: 0, gone: true, exits: 0, seq: 3, updated: 3},
		"group removed and added, a table shows it":   {all: []any{start, table(5, row("RUNNING", ran(100))), removed}, state: "RUNNING", pid: 100, gone: false, exits: 0, seq: 2, updated: 2},
		"a table shows that the group is gone":        {all: []any{start, run, table(5), removed}, state: "RUNNING", pid: 0, gone: true, exits: 0, seq: 4, updated: 3},
		"removed again, and a table asked for before": {
			all: []any{start, run, table(5), removed, table(5, row("STOPPED"))}, state: "RUNNING", pid: 0, gone: true, exits: 0, seq: 4, updated: 3,
		},
		"two listeners: a table that is older": {all: []any{table(9, row("FATAL")), table(2, row("RUNNING", ran(100)))}, state: "RUNNING", pid: 100, gone: false, exits: 0, seq: 2, updated: 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := history(c.all...)
			r := f.State("web1", "api", "api_00")
			if r.State != c.state || r.PID != c.pid || (r.Gone != nil) != c.gone || r.Exits != c.exits || r.Seq != c.seq || !r.Updated.Equal(meta(c.updated).Stored) {
				t.Errorf("%+v", r)
			}
			checkHostCounts(t, f)
		})
	}
}

func checkHostCounts(t *testing.T, f *state.Fleet) {
	t.Helper()
	h, n := f.Host("web1"), 0
	for _, r := range f.States() {
		if r.Gone == nil {
			n++
		}
	}
	if h.Running+h.Down+h.Stopped+h.Exited != n {
		t.Errorf("%d processes are %+v", n, h)
	}
}

// FATAL that a snapshot shows does not forget the reason that the last BACKOFF gave.
func TestAReasonIsKept(t *testing.T) {
	code := &schema.Exit{Code: p(3)}
	f := history(step{event: "BACKOFF", boot: "a", serial: 1, exit: code}, table(1, row("FATAL", func(r *schema.SnapshotProcess) { r.SpawnErr = "Exited too quickly" })))
	if d := cmp.Diff(code, f.State("web1", "api", "api_00").Exit); d != "" {
		t.Error(d)
	}
}

func TestStatus(t *testing.T) {
	now, quiet := zero.Add(time.Hour), 3*time.Minute
	alive, silent := &schema.HostRecord{LastSeen: schema.Time{Time: now.Add(-quiet)}}, &schema.HostRecord{LastSeen: schema.Time{Time: now.Add(-quiet - 1)}}
	shut := &schema.HostRecord{LastSeen: silent.LastSeen, SupervisorState: "STOPPING"}
	for i, c := range []struct {
		state  schema.ProcessRecord
		host   *schema.HostRecord
		status string
		since  time.Time
	}{
		{state: schema.ProcessRecord{State: "RUNNING"}, host: nil, status: state.Running, since: zero},
		{state: schema.ProcessRecord{State: "RUNNING"}, host: alive, status: state.Running, since: zero},
		{state: schema.ProcessRecord{State: "RUNNING"}, host: silent, status: state.Unknown, since: silent.LastSeen.Time},
		{state: schema.ProcessRecord{State: "FATAL"}, host: silent, status: state.Unknown, since: silent.LastSeen.Time},
		{state: schema.ProcessRecord{State: "STOPPED"}, host: silent, status: state.Unknown, since: silent.LastSeen.Time},
		{state: schema.ProcessRecord{State: "RUNNING"}, host: shut, status: state.Stopped, since: silent.LastSeen.Time},
		{state: schema.ProcessRecord{State: "STOPPED"}, host: shut, status: state.Stopped, since: zero},
		{state: schema.ProcessRecord{State: "EXITED", Expected: p(true)}, host: shut, status: state.Exited, since: zero},
		{state: schema.ProcessRecord{State: "EXITED", Expected: p(true)}, host: alive, status: state.Exited, since: zero},
		{state: schema.ProcessRecord{State: "EXITED", Expected: p(false)}, host: alive, status: state.Down, since: zero},
		{state: schema.ProcessRecord{State: "EXITED"}, host: alive, status: state.Down, since: zero},
		{state: schema.ProcessRecord{State: "RUNNING", Gone: atp(9)}, host: silent, status: state.Gone, since: at(9).Time},
	} {
		c.state.Since = at(0)
		if status, since := state.Status(&c.state, c.host, now, quiet); status != c.status || !since.Equal(c.since) {
			t.Errorf("%d: %s since %s, not %s since %s", i, status, since, c.status, c.since)
		}
	}
	if status, _ := state.Status(&schema.ProcessRecord{State: "RUNNING"}, silent, now, 0); status != state.Running {
		t.Errorf("without a limit it is %s", status)
	}
}

func TestHostRecord(t *testing.T) {
	f := state.NewFleet()
	bridge := &schema.Bridge{Host: "web1.example.com", Server: "main", Boot: "a", BridgeVersion: "1.0", Settings: map[string]string{"address": "192.0.2.1"}}
	of := func(e schema.Event) *schema.CloudEvent[*schema.Event] {
		e.Host, e.Server, e.Boot = "web1.example.com", "main", "a"
		return e.Envelope(zero)
	}
	snap := func(serial uint64) *schema.CloudEvent[*schema.Snapshot] {
		s := table(serial, row("RUNNING"))
		s.Host, s.Server = "web1.example.com", "main"
		return s.Envelope(zero)
	}
	loss := &schema.Loss{Host: "web1.example.com", Boot: "a", Cause: schema.LossFull, Count: 3}
	odd := &schema.Loss{Host: "web1.example.com", Boot: "a", Cause: "made up", Count: 3}
	want := schema.HostRecord{Host: "web1.example.com"}
	for i, c := range []struct {
		apply  func(m state.Meta) state.Changes
		change func()
	}{
		{apply: func(m state.Meta) state.Changes { return f.Seen(m, "web1=2Eexample=2Ecom") }, change: func() {}},
		{apply: func(m state.Meta) state.Changes { return f.Bridge(m, schema.BridgeStarted, bridge.Envelope("", zero)) }, change: func() {
			want.Server, want.Boot, want.BridgeVersion, want.Address = "main", "a", "1.0", "192.0.2.1"
		}},
		{apply: func(m state.Meta) state.Changes { return f.Snapshot(m, snap(3)) }, change: func() {
			want.SupervisorVersion, want.SupervisorState, want.Running = "4.2.5", "RUNNING", 1
		}},
		{apply: func(m state.Meta) state.Changes { return f.Loss(m, loss.Envelope(at(7).Time)) }, change: func() {
			want.Lost, want.LastLoss = 3, atp(7)
			want.LostBy = map[string]uint64{schema.LossFull: 3}
		}},
		{apply: func(m state.Meta) state.Changes { return f.Loss(m, odd.Envelope(at(8).Time)) }, change: func() {
			want.Lost, want.LastLoss = 6, atp(8)
			want.LostBy = map[string]uint64{schema.LossFull: 3, schema.LossOther: 3}
		}},
		{apply: func(m state.Meta) state.Changes {
			return f.Event(m, of(schema.Event{Event: schema.SupervisorStateChangeStopping, Serial: 9}))
		}, change: func() {
			want.SupervisorState, want.Serial, want.Stopping = "STOPPING", 9, &schema.Time{Time: meta(6).Stored}
		}},
		{apply: func(m state.Meta) state.Changes { return f.Snapshot(m, snap(8)) }, change: func() {}}, // asked for before
		{apply: func(m state.Meta) state.Changes {
			return f.Event(m, of(schema.Event{Event: "PROCESS_STATE_STARTING", Group: "a", Process: "b", Serial: 10}))
		}, change: func() { want.Down = 1 }},
		{apply: func(m state.Meta) state.Changes {
			return f.Event(m, of(schema.Event{Event: schema.SupervisorStateChangeRunning, Serial: 11}))
		}, change: func() { want.SupervisorState, want.Serial, want.Stopping = "RUNNING", 11, nil }},
		{apply: func(m state.Meta) state.Changes {
			return f.Event(m, of(schema.Event{Event: schema.SupervisorStateChangeStopping, Serial: 12}))
		}, change: func() {
			want.SupervisorState, want.Serial, want.Stopping = "STOPPING", 12, &schema.Time{Time: meta(10).Stored}
		}},
		{apply: func(m state.Meta) state.Changes {
			b := *bridge
			b.Boot, b.BridgeVersion = "b", "1.1"
			return f.Bridge(m, schema.BridgeReconnect, b.Envelope("", zero)) // its spool is still to come
		}, change: func() { want.BridgeVersion = "1.1" }},
		{apply: func(m state.Meta) state.Changes {
			b := *bridge
			b.Boot, b.BridgeVersion = "b", "1.1"
			return f.Bridge(m, schema.BridgeStarted, b.Envelope("", zero))
		}, change: func() { want.Boot, want.Serial, want.SupervisorState, want.Stopping = "b", 0, "RUNNING", nil }},
	} {
		c.change()
		m := meta(i + 1)
		want.Seq, want.LastSeen = m.Seq, schema.Time{Time: m.Stored}
		changes := c.apply(m)
		if changes.HostKey != "web1=2Eexample=2Ecom" {
			t.Errorf("%d: key %q", i, changes.HostKey)
		}
		got := *changes.Host
		got.Lives, got.Bridges = nil, nil // see TestLives
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%d: %s", i, d)
		}
		if again := c.apply(m); again.Host != nil || len(again.States) > 0 {
			t.Errorf("%d is applied again", i)
		}
	}
}

// A host whose token is shortened is known when one of its messages is decoded.
func TestSeenOfALongName(t *testing.T) {
	f, name := state.NewFleet(), fmt.Sprintf("%0300d", 1)
	if c := f.Seen(meta(1), schema.Token(name)); c.Host != nil || f.Host(name) != nil {
		t.Errorf("%+v", c)
	}
	f.Loss(meta(2), (&schema.Loss{Host: name}).Envelope(zero))
	if c := f.Seen(meta(3), schema.Token(name)); c.Host == nil || c.Host.Host != name || c.Host.Seq != 3 {
		t.Errorf("%+v", c)
	}
	if c := f.Seen(meta(4), "no=token"); c.Host != nil {
		t.Errorf("%+v", c)
	}
}

// The order of what changed depends on the messages only.
func TestChangesAreInOrder(t *testing.T) {
	var rows []schema.SnapshotProcess
	for i := range 50 {
		rows = append(rows, schema.SnapshotProcess{Group: "api", Process: fmt.Sprint(99 - i), State: "STOPPED"})
	}
	keys := func(c state.Changes) (k []string) {
		for _, s := range c.States {
			k = append(k, s.Key)
		}
		return k
	}
	f := state.NewFleet()
	got := keys(f.Snapshot(meta(1), table(1, rows...).Envelope(zero)))
	if len(got) != 50 || got[0] != "web1.api.99" || got[49] != "web1.api.50" {
		t.Errorf("rows: %q", got)
	}
	if got := keys(f.Snapshot(meta(2), table(2, rows[:10]...).Envelope(zero))); len(got) != 40 || !slices.IsSorted(got) {
		t.Errorf("left: %q", got)
	}
	if got := keys(f.Event(meta(3), (&schema.Event{Event: schema.ProcessGroupRemoved, Host: "web1", Boot: "a", Serial: 3, Group: "api"}).Envelope(zero))); len(got) != 50 || !slices.IsSorted(got) {
		t.Errorf("removed: %q", got)
	}
}
