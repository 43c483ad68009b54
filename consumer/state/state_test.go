package state_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/consumer/crashes"
	"supernats/consumer/state"
	"supernats/schema"
)

var zero = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

// at is a number of seconds into the test's day.
func at(seconds int) schema.Time {
	return schema.Time{Time: zero.Add(time.Duration(seconds) * time.Second)}
}

func atp(seconds int) *schema.Time {
	t := at(seconds)
	return &t
}

func p[T any](v T) *T { return &v }

// meta is that of the message that is the nth one of the stream, an hour after it
// was sent.
func meta(n int) state.Meta {
	return state.Meta{Seq: uint64(n), Stored: at(n).Add(time.Hour)}
}

// step is an event of web1's api:api_00; its second and its sequence are its
// number in the list, from 1.
type step struct {
	event    string
	boot     string
	serial   uint64
	pid      int
	expected *bool
	exit     *schema.Exit
}

func (s step) envelope(n int) *schema.CloudEvent[*schema.Event] {
	e := &schema.Event{
		Event: "PROCESS_STATE_" + s.event, Host: "web1", Server: "supervisor", Boot: s.boot, Serial: s.serial, Pool: "supernats",
		Group: "api", Process: "api_00", PID: s.pid, Expected: s.expected, Exit: s.exit,
	}
	return e.Envelope(at(n).Time)
}

// replay applies all steps in order.
func replay(steps []step) *schema.ProcessRecord {
	var r *schema.ProcessRecord
	for i, s := range steps {
		r, _ = state.Apply(r, meta(i+1), s.envelope(i+1))
	}
	return r
}

func TestApply(t *testing.T) {
	code, killed, spawn := &schema.Exit{Code: p(3)}, &schema.Exit{Signal: "SIGKILL", Core: true}, &schema.Exit{SpawnErr: "can't find command"}
	who := schema.ProcessRecord{Host: "web1", Group: "api", Process: "api_00", Boot: "a"}
	with := func(change func(*schema.ProcessRecord)) *schema.ProcessRecord {
		r := who
		change(&r)
		return &r
	}
	// crashesIn are those of some messages, of a record that does not say since when it is there.
	crashesIn := func(messages ...int) (all *schema.Crashes) {
		for _, n := range messages {
			all = crashes.Add(all, at(n).Time, meta(messages[0]).Stored)
		}
		return all
	}
	running := []step{{event: "STARTING", boot: "a", serial: 2}, {event: "RUNNING", boot: "a", serial: 5, pid: 100}}
	for name, c := range map[string]struct {
		steps []step
		want  *schema.ProcessRecord
	}{
		"started": {steps: running, want: with(func(r *schema.ProcessRecord) {
			r.Started = atp(1)
			r.State, r.Since, r.PID, r.Starts, r.Serial, r.Seq = "RUNNING", at(2), 100, 1, 5, 2
		})},
		"crashed": {
			steps: append(slices.Clone(running), step{event: "EXITED", boot: "a", serial: 6, pid: 100, expected: p(false), exit: code}),
			want: with(func(r *schema.ProcessRecord) {
				r.State, r.Since, r.Serial, r.Seq = "EXITED", at(3), 6, 3
				r.Starts, r.Exits, r.UnexpectedExits, r.Crashes = 1, 1, 1, crashesIn(3)
				r.Expected, r.Exit, r.LastExit = p(false), code, atp(3)
			}),
		},
		"crashed and started again": {
			steps: append(slices.Clone(running),
				step{event: "EXITED", boot: "a", serial: 6, pid: 100, expected: p(false), exit: killed},
				step{event: "STARTING", boot: "a", serial: 7}, step{event: "RUNNING", boot: "a", serial: 8, pid: 101}),
			want: with(func(r *schema.ProcessRecord) {
				r.Started = atp(4)
				r.State, r.Since, r.PID, r.Serial, r.Seq = "RUNNING", at(5), 101, 8, 5
				r.Starts, r.Exits, r.UnexpectedExits, r.Crashes = 2, 1, 1, crashesIn(3)
				r.Expected, r.Exit, r.LastExit = p(false), killed, atp(3)
			}),
		},
		"ended as expected": {
			steps: append(slices.Clone(running), step{event: "EXITED", boot: "a", serial: 6, pid: 100, expected: p(true)}),
			want: with(func(r *schema.ProcessRecord) {
				r.State, r.Since, r.Serial, r.Seq = "EXITED", at(3), 6, 3
				r.Starts, r.Exits, r.Expected, r.LastExit = 1, 1, p(true), atp(3)
			}),
		},
		"FATAL after BACKOFF, without pid": {
			steps: []step{
				{event: "STARTING", boot: "a", serial: 1},
				{event: "BACKOFF", boot: "a", serial: 2, exit: code},
				{event: "STARTING", boot: "a", serial: 3},
				{event: "BACKOFF", boot: "a", serial: 4},
				{event: "FATAL", boot: "a", serial: 5},
			},
			want: with(func(r *schema.ProcessRecord) {
				r.State, r.Since, r.Serial, r.Seq = "FATAL", at(5), 5, 5
				r.Starts, r.Fatals, r.LastExit, r.Crashes = 2, 1, atp(4), crashesIn(2, 4)
			}),
		},
		"FATAL keeps the reason of the last BACKOFF": {
			steps: []step{
				{event: "BACKOFF", boot: "a", serial: 4, exit: code},
				{event: "FATAL", boot: "a", serial: 5},
			},
			want: with(func(r *schema.ProcessRecord) {
				r.State, r.Since, r.Serial, r.Seq, r.Fatals, r.LastExit, r.Exit = "FATAL", at(2), 5, 2, 1, atp(1), code
				r.Crashes = crashesIn(1)
			}),
		},
		"FATAL with its own reason": {
			steps: []step{{event: "FATAL", boot: "a", serial: 5, exit: spawn}},
			want: with(func(r *schema.ProcessRecord) {
				r.State, r.Since, r.Serial, r.Seq, r.Fatals, r.Exit = "FATAL", at(1), 5, 1, 1, spawn
			}),
		},
		"stopping": {
			steps: append(slices.Clone(running), step{event: "STOPPING", boot: "a", serial: 6, pid: 100}),
			want: with(func(r *schema.ProcessRecord) {
				r.Started = atp(1)
				r.State, r.Since, r.PID, r.Serial, r.Seq, r.Starts = "STOPPING", at(3), 100, 6, 3, 1
			}),
		},
		"stopped by an operator is no exit": {
			steps: append(slices.Clone(running), step{event: "STOPPING", boot: "a", serial: 6, pid: 100}, step{event: "STOPPED", boot: "a", serial: 7, pid: 100}),
			want: with(func(r *schema.ProcessRecord) {
				r.State, r.Since, r.Serial, r.Seq, r.Starts = "STOPPED", at(4), 7, 4, 1
			}),
		},
		"reload: other serials within the boot": {
			steps: append(slices.Clone(running), step{event: "STOPPED", boot: "a", serial: 60, pid: 100}, step{event: "STARTING", boot: "a", serial: 1000}),
			want: with(func(r *schema.ProcessRecord) {
				r.Started = atp(4)
				r.State, r.Since, r.Serial, r.Seq, r.Starts = "STARTING", at(4), 1000, 4, 2
			}),
		},
		"a new boot begins at serial 0": {
			steps: append(slices.Clone(running), step{event: "STARTING", boot: "b", serial: 0}),
			want: with(func(r *schema.ProcessRecord) {
				r.Started = atp(3)
				r.State, r.Since, r.Boot, r.Serial, r.Seq, r.Starts = "STARTING", at(3), "b", 0, 3, 2
			}),
		},
		"an older serial of the same boot": {
			steps: append(slices.Clone(running), step{event: "STARTING", boot: "a", serial: 2}, step{event: "FATAL", boot: "a", serial: 4}, step{event: "RUNNING", boot: "a", serial: 5, pid: 100}),
			want: with(func(r *schema.ProcessRecord) {
				r.Started = atp(1)
				r.State, r.Since, r.PID, r.Starts, r.Serial, r.Seq = "RUNNING", at(2), 100, 1, 5, 2
			}),
		},
		"UNKNOWN": {
			steps: append(slices.Clone(running), step{event: "UNKNOWN", boot: "a", serial: 6}),
			want: with(func(r *schema.ProcessRecord) {
				r.State, r.Since, r.Serial, r.Seq, r.Starts = "UNKNOWN", at(3), 6, 3, 1
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Updated = schema.Time{Time: meta(int(c.want.Seq)).Stored}
			if d := cmp.Diff(c.want, replay(c.steps)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWhatIsNoChangeOfState(t *testing.T) {
	old := replay([]step{{event: "STARTING", boot: "a", serial: 2}})
	was := *old
	for _, e := range []schema.Event{
		{Event: schema.Tick5},
		{Event: schema.ProcessLogStdout, Group: "api", Process: "api_00"},
		{Event: "PROCESS_STATE_FROZEN", Group: "api", Process: "api_00"},
		{Event: "PROCESS_STATE", Group: "api", Process: "api_00"},
		{Event: "PROCESS_STATE_", Group: "api", Process: "api_00"},
		{Event: schema.ProcessStateRunning}, // of nobody: its payload could not be read
		{Event: schema.ProcessGroupAdded, Group: "api"},
	} {
		e.Host, e.Boot, e.Serial = "web1", "a", 9
		for _, before := range []*schema.ProcessRecord{nil, old} {
			if next, ok := state.Apply(before, meta(9), e.Envelope(zero)); ok || next != before {
				t.Errorf("%s is applied: %+v", e.Event, next)
			}
		}
	}
	if d := cmp.Diff(&was, old); d != "" {
		t.Error(d)
	}
}

// A sequence read again in part or as a whole, at any time and as often as one
// likes, gives the same record.
func TestAnyRepetitionGivesTheSameRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		boot, serial := 0, uint64(0)
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			s := step{event: rapid.SampledFrom([]string{"STARTING", "RUNNING", "EXITED", "BACKOFF", "FATAL", "STOPPING", "STOPPED", "UNKNOWN"}).Draw(t, "event")}
			s.pid = rapid.IntRange(0, 3).Draw(t, "pid")
			switch s.event {
			case "EXITED":
				s.expected = p(rapid.Bool().Draw(t, "expected"))
				s.exit = rapid.SampledFrom([]*schema.Exit{nil, {Code: p(1)}, {Signal: "SIGSEGV"}}).Draw(t, "exit")
			case "BACKOFF", "FATAL":
				s.exit = rapid.SampledFrom([]*schema.Exit{nil, {SpawnErr: "no"}}).Draw(t, "exit")
			}
			return s
		}), 1, 12).Draw(t, "steps")
		for i := range steps {
			if rapid.IntRange(0, 4).Draw(t, "new boot") == 0 {
				boot, serial = boot+1, 0
			}
			serial += rapid.Uint64Range(1, 3).Draw(t, "gap")
			steps[i].boot, steps[i].serial = string(rune('a'+boot)), serial
		}
		want := replay(steps)

		var got *schema.ProcessRecord
		for i := range steps {
			got, _ = state.Apply(got, meta(i+1), steps[i].envelope(i+1))
			for range rapid.IntRange(0, 3).Draw(t, "repeats") {
				again := rapid.IntRange(0, i).Draw(t, "again")
				before := *got
				m := meta(again + 1)
				// Stored a second time, it has a sequence of its own.
				if steps[again].boot == steps[i].boot && rapid.Bool().Draw(t, "stored twice") {
					m = meta(1000)
				}
				next, ok := state.Apply(got, m, steps[again].envelope(again+1))
				if ok {
					t.Fatalf("step %d is applied again after step %d", again+1, i+1)
				}
				if d := cmp.Diff(&before, next); d != "" {
					t.Fatal(d)
				}
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

func TestCounters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want schema.ProcessRecord
		var r *schema.ProcessRecord
		for i, name := range rapid.SliceOf(rapid.SampledFrom([]string{"STARTING", "RUNNING", "EXITED", "crash", "BACKOFF", "FATAL", "STOPPED"})).Draw(t, "events") {
			s := step{event: name, boot: "a", serial: uint64(i + 1)}
			switch name {
			case "STARTING":
				want.Starts++
			case "crash":
				s.event, s.expected = "EXITED", p(false)
				want.Exits++
				want.UnexpectedExits++
			case "EXITED":
				s.expected = p(true)
				want.Exits++
			case "FATAL":
				want.Fatals++
			}
			r, _ = state.Apply(r, meta(i+1), s.envelope(i))
		}
		if r != nil && (r.Starts != want.Starts || r.Exits != want.Exits || r.UnexpectedExits != want.UnexpectedExits || r.Fatals != want.Fatals) {
			t.Fatalf("%+v, not %+v", r, want)
		}
	})
}

// What was handed in is somebody else's.
func TestApplyLeavesTheOldRecord(t *testing.T) {
	old := replay([]step{{event: "STARTING", boot: "a", serial: 1}})
	was := *old
	if _, ok := state.Apply(old, meta(2), step{event: "EXITED", boot: "a", serial: 2, expected: p(false)}.envelope(2)); !ok {
		t.Fatal("not applied")
	}
	if d := cmp.Diff(&was, old); d != "" {
		t.Error(d)
	}
}
