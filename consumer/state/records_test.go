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

// What a table tells of a process that nothing else is known of.
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
		"runs":                         {row("RUNNING", pid(7), times(second(-60), second(-90))), schema.ProcessRecord{State: "RUNNING", Since: at(-60), PID: 7}, state.Running},
		"started in the future":        {row("RUNNING", pid(7), times(second(60), 0)), schema.ProcessRecord{State: "RUNNING", Since: at(1), PID: 7}, state.Running},
		"starts":                       {row("STARTING", pid(7), times(second(-1), 0)), schema.ProcessRecord{State: "STARTING", Since: at(-1), PID: 7}, state.Down},
		"never started":                {row("STOPPED"), schema.ProcessRecord{State: "STOPPED", Since: at(1)}, state.Stopped},
		"stopped":                      {row("STOPPED", times(second(-60), second(-30)), end(-1, "")), schema.ProcessRecord{State: "STOPPED", Since: at(-30)}, state.Stopped},
		"stops":                        {row("STOPPING", pid(7), times(second(-60), second(-90))), schema.ProcessRecord{State: "STOPPING", Since: at(1), PID: 7}, state.Stopped},
		"ran to its end":               {row("EXITED", times(second(-60), second(-30))), schema.ProcessRecord{State: "EXITED", Since: at(-30), Expected: p(true), Exit: &schema.Exit{Code: p(0)}, LastExit: atp(-30)}, state.Exited},
		"crashed":                      {row("EXITED", times(second(-60), second(-30)), end(3, "Bad exit code 3")), schema.ProcessRecord{State: "EXITED", Since: at(-30), Expected: p(false), Exit: &schema.Exit{Code: p(3)}, LastExit: atp(-30)}, state.Down},
		"killed":                       {row("EXITED", times(second(-60), second(-30)), end(-1, "Bad exit code -1")), schema.ProcessRecord{State: "EXITED", Since: at(-30), Expected: p(false), LastExit: atp(-30)}, state.Down},
		"ended, nobody knows if right": {row("EXITED", times(second(-60), second(-30)), end(2, "")), schema.ProcessRecord{State: "EXITED", Since: at(-30), Exit: &schema.Exit{Code: p(2)}, LastExit: atp(-30)}, state.Down},
		"exits at start":               {row("BACKOFF", times(second(-9), second(-8)), end(0, "Exited too quickly")), schema.ProcessRecord{State: "BACKOFF", Since: at(-8), Exit: &schema.Exit{SpawnErr: "Exited too quickly"}, LastExit: atp(-8)}, state.Down},
		"cannot be started":            {row("FATAL", times(second(-9), second(-90)), end(0, "can't find command")), schema.ProcessRecord{State: "FATAL", Since: at(-9), Exit: &schema.Exit{SpawnErr: "can't find command"}}, state.Down},
		"given up":                     {row("FATAL", times(second(-9), second(-8))), schema.ProcessRecord{State: "FATAL", Since: at(-8), LastExit: atp(-8)}, state.Down},
		"a port's own state":           {row("RESTING", times(second(-9), second(-8))), schema.ProcessRecord{State: "UNKNOWN", Since: at(1)}, state.Down},
		"pid of one that is gone":      {row("STOPPED", pid(7)), schema.ProcessRecord{State: "STOPPED", Since: at(1)}, state.Stopped},
	} {
		t.Run(name, func(t *testing.T) {
			f := history(table(5, c.row))
			c.want.Host, c.want.Group, c.want.Process, c.want.Boot = "web1", "api", "api_00", "a"
			c.want.Seq, c.want.Updated, c.want.Snapshot = 1, schema.Time{Time: meta(1).Stored}, &schema.SnapshotMark{Serial: 5, Time: at(1)}
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
		"says the same: nothing is written": {[]any{start, run, table(5, row("RUNNING", ran(100)))}, "RUNNING", 100, false, 0, 2, 2},
		"mends what was lost":               {[]any{start, run, table(5, row("FATAL"))}, "FATAL", 0, false, 0, 3, 3},
		"other pid: restarted unseen":       {[]any{start, run, table(5, row("RUNNING", ran(101)))}, "RUNNING", 101, false, 0, 3, 3},
		"asked for before an event":         {[]any{start, run, crash, table(5, row("RUNNING", ran(100)))}, "EXITED", 0, false, 1, 3, 3},
		"asked for before a process left":   {[]any{start, run, crash, table(5)}, "EXITED", 0, false, 1, 3, 3},
		"event up to its serial behind it":  {[]any{start, run, table(6, row("FATAL")), from(crash, "RUNNING")}, "FATAL", 0, false, 1, 4, 3},
		"event up to its serial behind it, of a life that is over": {
			[]any{table(9, row("STOPPED")), from(step{event: "STARTING", boot: "a", serial: 7}, "STOPPED")}, "STOPPED", 0, false, 0, 2, 1,
		},
		"newer than one before it that has shown an event": {
			[]any{table(1, row("STARTING", ran(100))), from(step{event: "STARTING", boot: "a", serial: 3}, "STOPPED"), table(2, row("RUNNING", ran(100)))},
			"RUNNING", 100, false, 0, 3, 3,
		},
		"older than one before it that has shown an event": {
			[]any{nil, table(1, row("STARTING", ran(100))), from(step{event: "STARTING", boot: "a", serial: 3}, "STOPPED"), early{table(3, row("STOPPED"))}},
			"STARTING", 100, false, 0, 3, 2,
		},
		"shows an event behind it": {
			[]any{start, run, table(5, row("STARTING", ran(101))), from(crash, "RUNNING"), from(step{event: "STARTING", boot: "a", serial: 7}, "EXITED")},
			"STARTING", 101, false, 1, 5, 3,
		},
		"and then life goes on": {
			[]any{
				start, run, table(5, row("STARTING", ran(101))), from(crash, "RUNNING"), from(step{event: "STARTING", boot: "a", serial: 7}, "EXITED"),
				from(step{event: "RUNNING", boot: "a", serial: 8, pid: 101}, "STARTING"),
			},
			"RUNNING", 101, false, 1, 6, 6,
		},
		"an event tells its state again": {[]any{table(1, row("RUNNING", ran(100))), from(run, "STARTING")}, "RUNNING", 100, false, 0, 2, 1},
		"an event of its pid behind one that was lost": {
			[]any{table(1, row("RUNNING", ran(100))), from(step{event: "STOPPED", boot: "a", serial: 6, pid: 100}, "STOPPING")},
			"STOPPED", 0, false, 0, 2, 2,
		},
		"does not follow, but something was lost": {
			[]any{table(1, row("RUNNING", ran(100))), &schema.Loss{Host: "web1", Count: 1}, from(step{event: "FATAL", boot: "a", serial: 6}, "BACKOFF")},
			"FATAL", 0, false, 0, 3, 3,
		},
		"does not follow, but its pools are new": {
			[]any{table(1, row("RUNNING", ran(100))), &schema.Event{Event: schema.SupervisorStateChangeRunning, Host: "web1", Boot: "a", Serial: 2}, from(step{event: "FATAL", boot: "a", serial: 6}, "BACKOFF")},
			"FATAL", 0, false, 0, 3, 3,
		},
		"does not follow, but it is long ago": {
			[]any{
				table(1, row("RUNNING", ran(100))), nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
				from(step{event: "FATAL", boot: "a", serial: 6}, "BACKOFF"),
			},
			"FATAL", 0, false, 0, 13, 13,
		},
		"another boot, after one that stopped": {
			[]any{
				start, run, &schema.Event{Event: schema.SupervisorStateChangeStopping, Host: "web1", Boot: "a", Serial: 6},
				&schema.Snapshot{Host: "web1", Boot: "b", Serial: 1, Processes: []schema.SnapshotProcess{row("STOPPED")}},
			},
			"STOPPED", 0, false, 0, 4, 4,
		},
		"another boot, and nobody knows what became of the first": {
			[]any{start, run, &schema.Snapshot{Host: "web1", Boot: "b", Serial: 1, Processes: []schema.SnapshotProcess{row("STOPPED")}}},
			"RUNNING", 100, false, 0, 2, 2,
		},
		"another boot, event up to its serial": {
			[]any{&schema.Snapshot{Host: "web1", Boot: "b", Serial: 9, Processes: []schema.SnapshotProcess{row("STOPPED")}}, run},
			"RUNNING", 100, false, 0, 2, 2,
		},
		"left":                       {[]any{start, run, table(5)}, "RUNNING", 0, true, 0, 3, 3},
		"left, and told again":       {[]any{start, run, table(5), table(5)}, "RUNNING", 0, true, 0, 3, 3},
		"left, and came back":        {[]any{start, run, table(5), table(5, row("STOPPED"))}, "STOPPED", 0, false, 0, 4, 4},
		"left, and started":          {[]any{start, run, table(5), from(step{event: "STARTING", boot: "a", serial: 9}, "STOPPED")}, "STARTING", 0, false, 0, 4, 4},
		"left, and an end is behind": {[]any{start, run, table(5), from(crash, "RUNNING")}, "RUNNING", 0, true, 1, 4, 3},
		"group removed":              {[]any{start, run, removed}, "RUNNING", 0, true, 0, 3, 3},
		"group removed, seen before": {[]any{start, run, step{event: "STARTING", boot: "a", serial: 7}, removed}, "STARTING", 0, false, 0, 3, 3},

		"group removed, and a table asked for before": {[]any{start, run, removed, table(5, row("STOPPED"))}, "RUNNING", 0, true, 0, 3, 3},
		"group removed and added, a table shows it":   {[]any{start, table(5, row("RUNNING", ran(100))), removed}, "RUNNING", 100, false, 0, 2, 2},
		"a table shows that the group is gone":        {[]any{start, run, table(5), removed}, "RUNNING", 0, true, 0, 4, 3},
		"removed again, and a table asked for before": {
			[]any{start, run, table(5), removed, table(5, row("STOPPED"))}, "RUNNING", 0, true, 0, 4, 3,
		},
		"two listeners: a table that is older": {[]any{table(9, row("FATAL")), table(2, row("RUNNING", ran(100)))}, "RUNNING", 100, false, 0, 2, 2},
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

// FATAL that a snapshot told does not forget the reason that the last BACKOFF told.
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
		{schema.ProcessRecord{State: "RUNNING"}, nil, state.Running, zero},
		{schema.ProcessRecord{State: "RUNNING"}, alive, state.Running, zero},
		{schema.ProcessRecord{State: "RUNNING"}, silent, state.Unknown, silent.LastSeen.Time},
		{schema.ProcessRecord{State: "FATAL"}, silent, state.Unknown, silent.LastSeen.Time},
		{schema.ProcessRecord{State: "STOPPED"}, silent, state.Unknown, silent.LastSeen.Time},
		{schema.ProcessRecord{State: "RUNNING"}, shut, state.Stopped, silent.LastSeen.Time},
		{schema.ProcessRecord{State: "STOPPED"}, shut, state.Stopped, zero},
		{schema.ProcessRecord{State: "EXITED", Expected: p(true)}, shut, state.Exited, zero},
		{schema.ProcessRecord{State: "EXITED", Expected: p(true)}, alive, state.Exited, zero},
		{schema.ProcessRecord{State: "EXITED", Expected: p(false)}, alive, state.Down, zero},
		{schema.ProcessRecord{State: "EXITED"}, alive, state.Down, zero},
		{schema.ProcessRecord{State: "RUNNING", Gone: atp(9)}, silent, state.Gone, at(9).Time},
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
	loss := &schema.Loss{Host: "web1.example.com", Boot: "a", Count: 3}
	want := schema.HostRecord{Host: "web1.example.com"}
	for i, c := range []struct {
		apply  func(m state.Meta) state.Changes
		change func()
	}{
		{func(m state.Meta) state.Changes { return f.Seen(m, "web1=2Eexample=2Ecom") }, func() {}},
		{func(m state.Meta) state.Changes { return f.Bridge(m, schema.BridgeStarted, bridge.Envelope("", zero)) }, func() {
			want.Server, want.Boot, want.BridgeVersion, want.Address = "main", "a", "1.0", "192.0.2.1"
		}},
		{func(m state.Meta) state.Changes { return f.Snapshot(m, snap(3)) }, func() {
			want.SupervisorVersion, want.SupervisorState, want.Running = "4.2.5", "RUNNING", 1
		}},
		{func(m state.Meta) state.Changes { return f.Loss(m, loss.Envelope(at(7).Time)) }, func() { want.Lost, want.LastLoss = 3, atp(7) }},
		{func(m state.Meta) state.Changes { return f.Loss(m, loss.Envelope(at(8).Time)) }, func() { want.Lost, want.LastLoss = 6, atp(8) }},
		{func(m state.Meta) state.Changes {
			return f.Event(m, of(schema.Event{Event: schema.SupervisorStateChangeStopping, Serial: 9}))
		}, func() {
			want.SupervisorState, want.Serial, want.Stopping = "STOPPING", 9, &schema.Time{Time: meta(6).Stored}
		}},
		{func(m state.Meta) state.Changes { return f.Snapshot(m, snap(8)) }, func() {}}, // asked for before
		{func(m state.Meta) state.Changes {
			return f.Event(m, of(schema.Event{Event: "PROCESS_STATE_STARTING", Group: "a", Process: "b", Serial: 10}))
		}, func() { want.Down = 1 }},
		{func(m state.Meta) state.Changes {
			return f.Event(m, of(schema.Event{Event: schema.SupervisorStateChangeRunning, Serial: 11}))
		}, func() { want.SupervisorState, want.Serial, want.Stopping = "RUNNING", 11, nil }},
		{func(m state.Meta) state.Changes {
			return f.Event(m, of(schema.Event{Event: schema.SupervisorStateChangeStopping, Serial: 12}))
		}, func() {
			want.SupervisorState, want.Serial, want.Stopping = "STOPPING", 12, &schema.Time{Time: meta(10).Stored}
		}},
		{func(m state.Meta) state.Changes {
			b := *bridge
			b.Boot, b.BridgeVersion = "b", "1.1"
			return f.Bridge(m, schema.BridgeReconnect, b.Envelope("", zero)) // its spool is still to come
		}, func() { want.BridgeVersion = "1.1" }},
		{func(m state.Meta) state.Changes {
			b := *bridge
			b.Boot, b.BridgeVersion = "b", "1.1"
			return f.Bridge(m, schema.BridgeStarted, b.Envelope("", zero))
		}, func() { want.Boot, want.Serial, want.SupervisorState, want.Stopping = "b", 0, "RUNNING", nil }},
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
