package intake

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"supernats/consumer/config"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/stream"
)

// sent stores a message of a host whose clock is ahead by some time.
func (f *fleet) sent(subject string, envelope any, ahead time.Duration) uint64 {
	f.Helper()
	m := &nats.Msg{Subject: subject, Data: []byte(f.JSON(envelope)), Header: nats.Header{
		stream.HeaderSent: {time.Now().Add(ahead).UTC().Format("2006-01-02T15:04:05.000000Z")},
	}}
	ack, err := f.JS.PublishMsg(f.Context(), m)
	if err != nil {
		f.Fatal(err)
	}
	return ack.Sequence
}

func (f *fleet) trouble(cause string, over bool) uint64 {
	t := &schema.Trouble{
		Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Pool: "supernats", Cause: cause,
		Text: "3 MiB are left", Fix: "make room", Since: schema.Time{Time: time.Now()}, Over: over,
	}
	return f.sent(schema.BridgeSubject("web1", schema.BridgeTrouble), t.Envelope(time.Now()), 0)
}

// notes are the notifications of a rule: their kinds, and the causes and events in
// them.
func (f *fleet) notes(rule string) (lines []string, alerts []*schema.Notification) {
	f.Helper()
	for _, m := range f.Messages(stream.Alerts) {
		ce, err := schema.Unmarshal[*schema.Notification](m.Data)
		if err != nil {
			f.Fatal(err)
		}
		if ce.Data.Rule != rule {
			continue
		}
		line := strings.TrimPrefix(ce.Type, "supernats.alert.")
		for _, e := range ce.Data.Events {
			line += " " + e.Cause + "/" + strings.TrimPrefix(e.Event, "PROCESS_STATE_")
		}
		lines, alerts = append(lines, line), append(alerts, ce.Data)
	}
	return lines, alerts
}

func (f *fleet) untilNotes(rule string, want ...string) []*schema.Notification {
	f.Helper()
	var alerts []*schema.Notification
	f.Until(rule+" "+strings.Join(want, ", "), func() bool {
		var got []string
		got, alerts = f.notes(rule)
		return slices.Equal(got, want)
	})
	return alerts
}

// A trouble opens an alert by the default rules, which another cause joins, that
// repeats say nothing of, and that ends when all are over; also over restarts.
func TestBridgeTrouble(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	f.trouble("disk-full", false)
	first := f.untilNotes("bridge-trouble", "firing disk-full/supernats.bridge.trouble")[0]
	if e := first.Events[0]; e.Text != "3 MiB are left" || e.Fix != "make room" || first.Host != "web1" || first.Severity != "warning" || first.Process != "" {
		t.Errorf("%+v", first)
	}
	stop()
	f.trouble("disk-full", false)
	f.trouble("nats-rights", false)
	stop = f.read()
	f.untilNotes("bridge-trouble", "firing disk-full/supernats.bridge.trouble", "update nats-rights/supernats.bridge.trouble")
	f.WaitHandled(f.trouble("disk-full", true))
	stop()
	f.trouble("nats-rights", true)
	defer f.read()()
	f.untilNotes("bridge-trouble", "firing disk-full/supernats.bridge.trouble", "update nats-rights/supernats.bridge.trouble", "resolved")
}

// A process that supervisord has lost is reported by the default rules, until it is
// known what became of it.
func TestUnknown(t *testing.T) {
	f := newFleet(t)
	defer f.read()()
	f.Publish(f.Event(schema.ProcessStateRunning), f.Event(schema.ProcessStateStopping), f.Event(schema.ProcessStateUnknown))
	f.untilNotes("unknown", "firing /UNKNOWN")
	f.Publish(f.Event(schema.ProcessStateStarting))
	f.untilNotes("unknown", "firing /UNKNOWN", "resolved")
}

// A host whose clock is days wrong: its crashes are new, and their times are right.
func TestWrongClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"late": -72 * time.Hour, "ahead": 72 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			stop := f.read()
			crash := f.Crash()
			seq := f.sent(crash.Subject(), crash.Envelope(time.Now().Add(ahead-time.Second)), ahead)
			a := f.untilNotes("unexpected-exit", "firing /EXITED")[0]
			e := a.Events[0]
			if age := time.Since(e.Time.Time); e.Late || age < 900*time.Millisecond || age > 20*time.Second || !a.Opened.Equal(e.Time.Time) {
				t.Errorf("%+v opened %v", e, a.Opened)
			}
			if e.HostTime == nil || time.Since(e.HostTime.Time) > -ahead+time.Minute || time.Since(e.HostTime.Time) < -ahead-time.Minute {
				t.Errorf("by its clock it was %v", e.HostTime)
			}

			// The time alone does not distinguish an old event of a spool from a new one.
			old := f.Crash(func(e *schema.Event) { e.Process = "old" })
			f.WaitHandled(f.sent(old.Subject(), old.Envelope(time.Now().Add(ahead-50*time.Hour)), ahead))
			f.untilNotes("unexpected-exit", "firing /EXITED")

			// The same when it is read back, and in a back-test.
			stop()
			reader := f.reader()
			if err := reader.restore(t.Context(), &source.Events{}); err != nil {
				t.Fatal(err)
			}
			defer reader.silences.Stop()
			back, err := reader.alertEvent(t.Context(), reader.machine, seq)
			if err != nil || !back.Time.Equal(e.Time.Time) || back.Late {
				t.Errorf("%+v %v", back, err)
			}
			n := 0
			test := Backtest{Plan: planOf(t, config.Default()), Notify: func(ce *schema.CloudEvent[*schema.Notification]) error {
				if n++; len(ce.Data.Events) != 1 || !ce.Data.Events[0].Time.Equal(e.Time.Time) {
					t.Errorf("%+v", ce.Data)
				}
				return nil
			}}
			if sum, err := test.Run(t.Context(), f.JS); err != nil || n != 1 || sum.TooOld != 1 {
				t.Errorf("%d notifications, %+v, %v", n, sum, err)
			}
		})
	}
}

// Two supervisords under one host: the table of one ends no alert of the other, and
// the ticks of both are known apart although nobody decodes them.
func TestTwoUnderOneHost(t *testing.T) {
	f := newFleet(t)
	defer f.read()()
	const a, b = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
	of := func(boot, process string) func(*schema.Event) {
		return func(e *schema.Event) {
			e.Boot, e.Server, e.Process = boot, boot, process
			if process == "" {
				e.Group = ""
			}
		}
	}
	table := func(boot, process string) uint64 {
		s := &schema.Snapshot{Host: "web1", Server: boot, Boot: boot, Serial: 99, SupervisorState: "RUNNING", Processes: []schema.SnapshotProcess{{Group: "api", Process: process, State: "RUNNING", PID: 7}}}
		return f.sent(schema.SnapshotSubject("web1"), s.Envelope(time.Now()), 0)
	}
	f.Publish(f.Event(schema.ProcessStateFatal, of(a, "bad")))
	f.untilNotes("fatal", "firing /FATAL")
	for range 3 {
		f.Publish(f.Event(schema.Tick5, of(a, "")), f.Event(schema.Tick5, of(b, "")))
		f.WaitHandled(table(b, "good"))
	}
	f.untilNotes("fatal", "firing /FATAL")
	state := func(process string) *schema.ProcessRecord {
		entry, err := f.Bucket(stream.StateBucket).Get(t.Context(), schema.StateKey("web1", "api", process))
		if err != nil {
			t.Fatal(err)
		}
		s := &schema.ProcessRecord{}
		f.Unmarshal(entry.Value(), s)
		return s
	}
	if bad, good := state("bad"), state("good"); bad.Gone != nil || bad.State != "FATAL" || good.Gone != nil || good.Boot != b {
		t.Errorf("%+v %+v", bad, good)
	}
	h := &schema.HostRecord{}
	entry, err := f.Bucket(stream.HostsBucket).Get(t.Context(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	f.Unmarshal(entry.Value(), h)
	if len(h.Lives) != 2 || h.Boot != a || h.Running != 1 || h.Down != 1 {
		t.Errorf("%+v", h)
	}
}

// The clock of the machine that consumes may be wrong too: what is too old goes by
// the server's.
func TestOwnWrongClock(t *testing.T) {
	f := newFleet(t)
	reader := f.reader()
	for _, skew := range []time.Duration{0, -72 * time.Hour, 72 * time.Hour} {
		reader.clock.skew = skew
		if off := time.Until(reader.oldest()) + 24*time.Hour - skew; off.Abs() > time.Minute {
			t.Errorf("%v ahead: %v off", -skew, off)
		}
	}
}
