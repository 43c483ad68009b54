package state_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/consumer/state"
	"supernats/schema"
)

// world is a stream to which several supervisords of one host publish.
type world struct {
	*testing.T
	fleet *state.Fleet
	seq   uint64
	now   time.Time
}

func newWorld(t *testing.T) *world { return &world{T: t, fleet: state.NewFleet(), now: zero} }

// sup is one of them.
type sup struct {
	*world
	server, boot, instance string
	serial                 uint64
}

func (w *world) sup(server, boot, instance string) *sup {
	return &sup{world: w, server: server, boot: boot, instance: instance}
}

// twoSupervisords are two of different users, both of which have started.
func (w *world) twoSupervisords() (a, b *sup) {
	a, b = w.sup("system", "a", "one"), w.sup("user", "b", "two")
	a.started()
	b.started()
	return a, b
}

// successors are two of one place, the first of which has run web for a minute.
func (w *world) successors() (a, b *sup) {
	a, b = w.sup("supervisor", "a", "one"), w.sup("supervisor", "b", "one")
	a.started()
	a.table("web")
	w.live(time.Minute, a)
	return a, b
}

// statusOf is what is known of a process of its own group.
func (w *world) statusOf(process string) string {
	s, _ := state.Status(w.fleet.State("web1", process, process), w.host(), w.now, state.SilentAfter)
	return s
}

func (w *world) wait(d time.Duration) { w.now = w.now.Add(d) }

func (w *world) meta() state.Meta {
	w.seq++
	return state.Meta{Seq: w.seq, Stored: w.now.Add(time.Millisecond)}
}

func (s *sup) record(kind, supervisorState string) {
	s.fleet.Bridge(s.meta(), kind, (&schema.Bridge{
		Host: "web1", Server: s.server, Boot: s.boot, Pool: "supernats", Instance: s.instance, SupervisorState: supervisorState,
	}).Envelope(kind, s.now))
}

func (s *sup) started() { s.record(schema.BridgeStarted, "") }

func (s *sup) event(name, process string, at time.Time) state.Changes {
	s.serial++
	group := ""
	if process != "" {
		group = process
	}
	e := &schema.Event{Event: name, Host: "web1", Server: s.server, Boot: s.boot, Pool: "supernats", Serial: s.serial, Group: group, Process: process, PID: 7}
	return s.fleet.Event(s.meta(), e.Envelope(at))
}

func (s *sup) tick() { s.event(schema.Tick5, "", s.now) }

// table publishes one in which the processes run.
func (s *sup) table(processes ...string) state.Changes {
	snap := &schema.Snapshot{Host: "web1", Server: s.server, Boot: s.boot, Serial: s.serial, SupervisorState: "RUNNING"}
	for _, p := range processes {
		snap.Processes = append(snap.Processes, schema.SnapshotProcess{Group: p, Process: p, State: "RUNNING", PID: 9, Start: 1})
	}
	return s.fleet.Snapshot(s.meta(), snap.Envelope(s.now))
}

// live lets supervisords tick for a while.
func (w *world) live(d time.Duration, all ...*sup) {
	for end := w.now.Add(d); w.now.Before(end); w.wait(5 * time.Second) {
		for _, s := range all {
			s.tick()
		}
	}
}

// ps are the processes that are not gone, with their states and boots.
func (w *world) ps() string {
	var all []string
	for _, r := range w.fleet.States() {
		if r.Gone == nil {
			all = append(all, r.Process+"="+r.State+"/"+r.Boot)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (w *world) wants(what, ps string) {
	w.Helper()
	if got := w.ps(); got != ps {
		w.Errorf("%s: %s\nwant %s", what, got, ps)
	}
}

func (w *world) host() *schema.HostRecord { return w.fleet.Host("web1") }

func (w *world) causes() (list []string) {
	for _, t := range w.host().Troubles {
		list = append(list, t.Cause)
	}
	return list
}

// restart is the daemon's.
func (w *world) restart() { w.fleet = load(stored(w.fleet)) }

// Each of two supervisords rules over its own processes, all the time.
func TestTwoSupervisords(t *testing.T) {
	w := newWorld(t)
	a, b := w.sup("system", "a", "one"), w.sup("user", "b", "two")
	a.started()
	a.table("web")
	a.event(schema.ProcessStateFatal, "bad", w.now)
	w.wait(time.Second)

	b.started()
	b.table("job")
	w.wants("at once", "bad=FATAL/a job=RUNNING/b web=RUNNING/a")
	for range 5 {
		w.live(time.Minute, a, b)
		a.table("web", "bad")
		b.table("job")
		if w.host().Boot != "a" || w.host().Running != 3-w.host().Down {
			t.Errorf("%+v", w.host())
		}
		w.restart()
	}
	w.wants("later", "bad=RUNNING/a job=RUNNING/b web=RUNNING/a")
	if c := b.table(); len(c.States) != 1 || c.States[0].State.Process != "job" {
		t.Errorf("%+v", c)
	}
	if len(w.causes()) > 0 || len(w.host().Lives) != 2 {
		t.Errorf("%+v", w.host())
	}
}

// What is known of a process that the other supervisord does not have outlives its
// tables: an alert about it stays open.
func TestATableClosesNothingOfTheOther(t *testing.T) {
	for name, instances := range map[string][2]string{"reported": {"one", "two"}, "not reported": {"", ""}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.sup("system", "a", instances[0]), w.sup("user", "b", instances[1])
			a.started()
			a.event(schema.ProcessStateFatal, "bad", w.now)
			w.wait(time.Second)
			b.started()
			for range 3 {
				for _, s := range b.table("job").States {
					if s.State.Process == "bad" {
						t.Errorf("%+v", s.State)
					}
				}
				w.live(20*time.Second, a, b)
			}
		})
	}
}

// A restart of supervisord takes what was removed from its configuration out at
// once where it said that it stops, and where its bridges report their instance.
func TestRestart(t *testing.T) {
	for name, c := range map[string]struct {
		instance string
		stop     func(*sup)
		at, late string
	}{
		"stopped, as the event says": {instance: "", stop: func(s *sup) { s.event(schema.SupervisorStateChangeStopping, "", s.now) }, at: "web=RUNNING/b", late: "web=RUNNING/b"},
		"stopped, as its bridge says": {
			instance: "", stop: func(s *sup) { s.record(schema.BridgeStopping, "STOPPING") }, at: "web=RUNNING/b", late: "web=RUNNING/b",
		},
		"killed":                                {instance: "one", stop: func(*sup) {}, at: "web=RUNNING/b", late: "web=RUNNING/b"},
		"killed, and its bridges report little": {instance: "", stop: func(*sup) {}, at: "old=RUNNING/a web=RUNNING/a", late: "web=RUNNING/b"},
		"only the bridge was stopped, and then it was killed": {
			instance: "", stop: func(s *sup) { s.record(schema.BridgeStopping, "RUNNING") }, at: "old=RUNNING/a web=RUNNING/a", late: "web=RUNNING/b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.sup("supervisor", "a", c.instance), w.sup("supervisor", "b", c.instance)
			a.started()
			a.table("web", "old")
			w.live(time.Minute, a)
			c.stop(a)
			w.wait(2 * time.Second)

			b.started()
			w.restart()
			b.table("web")
			w.wants("at once", c.at)
			if h := w.host(); h.Boot != "b" || h.Stopping != nil || h.SupervisorState != "RUNNING" {
				t.Errorf("%+v", h)
			}
			w.live(90*time.Second, b)
			b.table("web")
			w.wants("later", c.late)
			if len(w.causes()) > 0 {
				t.Errorf("%+v", w.host().Troubles)
			}
		})
	}
}

// A spool that is drained late has events of a life that is over: they are counted.
func TestALateSpool(t *testing.T) {
	w := newWorld(t)
	a, b := w.successors()
	crash := w.now
	w.wait(2 * time.Second)
	b.started()
	b.table("web")
	w.live(10*time.Minute, b)
	for range 3 {
		a.event(schema.ProcessStateExited, "web", crash)
	}
	w.wants("late", "web=RUNNING/b")
	if r := w.fleet.State("web1", "web", "web"); r.Exits != 3 {
		t.Errorf("%+v", r)
	}
	if h := w.host(); h.Boot != "b" || len(w.causes()) > 0 {
		t.Errorf("%+v", h)
	}
}

// Two machines of one image: everything about them is the same but the boot. The
// first one is held to be over until it is heard of again, and then both live.
func TestOneNameForTwo(t *testing.T) {
	w := newWorld(t)
	a, b := w.sup("supervisor", "a", "one"), w.sup("supervisor", "b", "one")
	a.started()
	a.table("api", "only-a")
	w.live(time.Minute, a)
	b.started()
	b.table("api", "only-b")
	w.live(time.Minute, a, b)
	a.table("api", "only-a")
	b.table("api", "only-b")
	w.wants("both", "api=RUNNING/b only-a=RUNNING/a only-b=RUNNING/b")
	before := w.ps()
	for range 4 {
		w.live(time.Minute, a, b)
		a.table("api", "only-a")
		w.event(a, "api")
		w.wants("still", before)
		b.table("api", "only-b")
		w.wants("still", before)
		if d := cmp.Diff([]string{schema.TroubleConflict}, w.causes()); d != "" {
			t.Error(d)
		}
		w.restart()
	}
	if text := w.host().Troubles[0].Text; !strings.Contains(text, "api:api") {
		t.Errorf("%q", text)
	}

	// One of them gets another name.
	a.record(schema.BridgeStopping, "STOPPING")
	w.live(time.Minute, b)
	b.table("api", "only-b")
	if h := w.host(); h.Stopping != nil || h.Boot != "b" {
		t.Errorf("%+v", h)
	}
}

func (w *world) event(s *sup, process string) { s.event(schema.ProcessStateExited, process, w.now) }

// A supervisord that was killed has announced nothing: its host is not stopping, and what
// it had is unknown when it has been silent for long.
func TestKilledSupervisord(t *testing.T) {
	for word, stopping := range map[string]bool{"STOPPING": true, "GONE": false, "": false} {
		w := newWorld(t)
		a := w.sup("system", "a", "one")
		a.started()
		w.live(time.Minute, a)
		a.table("api")
		a.record(schema.BridgeStopping, word)
		if h := w.host(); (h.Stopping != nil) != stopping || word != "" && h.SupervisorState != word {
			t.Errorf("%q: the host is %q, stopping since %v", word, h.SupervisorState, h.Stopping)
		}
	}
}

// Nobody knows how the processes of a supervisord are that died, from then on, and of those
// that it runs when it is back everybody does. Another one of the host is not concerned,
// and is the one that the host shows.
func TestProcessesOfAKilledSupervisord(t *testing.T) {
	w := newWorld(t)
	a, b := w.twoSupervisords()
	w.live(time.Minute, a, b)
	a.table("api")
	b.table("job")
	a.record(schema.BridgeStopping, schema.SupervisorGone)
	if got := w.statusOf("api") + " " + w.statusOf("job"); got != "unknown running" || w.host().SupervisorState != "RUNNING" {
		t.Errorf("they are %s, the host is %s", got, w.host().SupervisorState)
	}
	c := w.sup("system", "c", "one")
	c.started()
	c.table("api")
	if got := w.statusOf("api") + " " + w.statusOf("job"); got != "running running" {
		t.Errorf("after it is back they are %s", got)
	}
}

// The section for output that nobody needs counts for nothing, until it has run.
func TestSpareSection(t *testing.T) {
	w := newWorld(t)
	a := w.sup("system", "a", "one")
	a.started()
	snap := &schema.Snapshot{Host: "web1", Server: a.server, Boot: a.boot, SupervisorState: "RUNNING"}
	for _, p := range []string{"supernats-logs", "off"} {
		snap.Processes = append(snap.Processes, schema.SnapshotProcess{Group: p, Process: p, State: "STOPPED"})
	}
	a.fleet.Snapshot(w.meta(), snap.Envelope(w.now))
	counts := func(when string, running, stopped int) {
		t.Helper()
		for range 2 {
			if h := w.host(); h.Running != running || h.Stopped != stopped {
				t.Errorf("%s: %d run, %d are stopped; want %d and %d", when, h.Running, h.Stopped, running, stopped)
			}
			w.restart()
		}
	}
	counts("never started", 0, 1)

	for _, step := range []struct {
		event            string
		running, stopped int
	}{
		{event: schema.ProcessStateStarting, running: 0, stopped: 1},
		{event: schema.ProcessStateRunning, running: 1, stopped: 1},
		{event: schema.ProcessStateStopped, running: 0, stopped: 2},
	} {
		w.wait(time.Second)
		a = &sup{world: w, server: a.server, boot: a.boot, instance: a.instance, serial: a.serial}
		a.event(step.event, "supernats-logs", w.now)
		counts(step.event, step.running, step.stopped)
	}
}

// The conflict ends when one of the two no longer has the process.
func TestAConflictEnds(t *testing.T) {
	w := newWorld(t)
	a, b := w.twoSupervisords()
	w.live(time.Minute, a, b)
	a.table("api")
	b.table("api", "job")
	w.wants("the first one's", "api=RUNNING/a job=RUNNING/b")
	if d := cmp.Diff([]string{schema.TroubleConflict}, w.causes()); d != "" {
		t.Error(d)
	}
	a.table()
	b.table("api", "job")
	w.wants("the other one's", "api=RUNNING/b job=RUNNING/b")
	if len(w.causes()) > 0 {
		t.Errorf("%+v", w.host().Troubles)
	}
}

// One of two that falls silent: what it had is unknown, and in the end nobody's.
func TestOneOfTwoFallsSilent(t *testing.T) {
	w := newWorld(t)
	a, b := w.twoSupervisords()
	a.table("web")
	b.table("job")
	w.live(time.Minute, a, b)
	w.live(10*time.Minute, b)
	b.table("job")
	w.wants("silent", "job=RUNNING/b web=RUNNING/a")
	if w.statusOf("web") != state.Unknown || w.statusOf("job") != state.Running || w.host().Boot != "b" {
		t.Errorf("web is %s, job is %s, %+v", w.statusOf("web"), w.statusOf("job"), w.host())
	}
	w.live(25*time.Hour, b)
	b.table("job")
	w.wants("forgotten", "job=RUNNING/b")
}

// A table in parts: what it shows is applied as it comes, what is gone when all of
// it has come.
func TestATableInParts(t *testing.T) {
	w := newWorld(t)
	a := w.sup("supervisor", "a", "one")
	a.table("p1", "p2", "p3", "old")
	parts := func(at time.Time, part ...int) {
		for _, n := range part {
			name := "p" + string(rune('0'+n))
			snap := &schema.Snapshot{Host: "web1", Server: "supervisor", Boot: "a", Serial: 1, Part: n, Parts: 3, Processes: []schema.SnapshotProcess{{Group: name, Process: name, State: "STOPPED"}}}
			w.fleet.Snapshot(w.meta(), snap.Envelope(at))
		}
	}
	w.wait(time.Second)
	parts(w.now, 1, 2)
	w.wants("two of three", "old=RUNNING/a p1=STOPPED/a p2=STOPPED/a p3=RUNNING/a")
	w.wait(time.Second)
	parts(w.now, 3, 3, 1)
	w.wants("the first one is not complete", "old=RUNNING/a p1=STOPPED/a p2=STOPPED/a p3=STOPPED/a")
	parts(w.now, 2)
	w.wants("all of one", "p1=STOPPED/a p2=STOPPED/a p3=STOPPED/a")
	parts(w.now.Add(time.Second), 1, 2)
	w.restart()
	parts(w.now.Add(time.Second), 3)
	w.wants("cut by a restart", "p1=STOPPED/a p2=STOPPED/a p3=STOPPED/a")
	parts(w.now.Add(2*time.Second), 0, 4, 7)
	parts(w.now.Add(3*time.Second), 1, 2, 3)
	w.wants("and the next", "p1=STOPPED/a p2=STOPPED/a p3=STOPPED/a")
}

// The record of a host has a bound, whatever is published in its name.
func TestLivesAreBounded(t *testing.T) {
	w := newWorld(t)
	for i := range 100 {
		s := w.sup("supervisor", strings.Repeat(string(rune('A'+i)), 16), string(rune('A'+i)))
		s.started()
		s.tick()
		w.wait(time.Second)
		for j := range 10 {
			s.fleet.Trouble(s.meta(), (&schema.Trouble{Host: "web1", Boot: s.boot, Pool: "supernats", Cause: string(rune('a' + j)), Text: strings.Repeat("x\x1b\n", 4000)}).Envelope(w.now))
		}
	}
	h := w.host()
	if len(h.Lives) > 16 || len(h.Bridges) > 16 || len(h.Troubles) > 32 || h.MoreTroubles == 0 || len(encode(h)) > 64<<10 {
		t.Errorf("%d lives, %d bridges, %d troubles, %d more, %d bytes", len(h.Lives), len(h.Bridges), len(h.Troubles), h.MoreTroubles, len(encode(h)))
	}
}

// Two supervisords live in one stream as if each had one of its own: after the last
// table of each, the states of both are right.
func TestTwoLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := newSupervisor(t), newNamed(t, "other-")
		var stream []message
		take := func(s *supervisor) {
			for _, m := range s.stream {
				m.meta.Seq = uint64(len(stream) + 1)
				m.meta.Stored = s.now.Add(time.Millisecond)
				stream = append(stream, m)
			}
			s.stream = nil
		}
		take(a)
		take(b)
		turns := rapid.IntRange(1, 6).Draw(t, "turns")
		for turn := range turns + 2 {
			for _, s := range []*supervisor{a, b} {
				if turn < turns {
					s.steps(true, true, 12)
				}
				s.now = later(a.now, b.now).Add(6 * time.Second)
				s.emit(schema.Event{Event: schema.Tick5}) // both live
				s.readAll()
				take(s)
			}
		}
		for _, s := range []*supervisor{a, b} {
			s.lastSnapshot(4)
			s.readAll()
			take(s)
		}
		f := fold(stream)
		checkTable(t, f, a)
		checkTable(t, f, b)
		if h := f.Host("web1"); len(h.Troubles) > 0 {
			t.Fatalf("%+v", h.Troubles)
		}

		// Read again by another daemon, from records that were stored on the way.
		at := rapid.IntRange(0, len(stream)).Draw(t, "at")
		g := load(stored(fold(stream[:at])))
		for _, m := range stream {
			apply(g, m)
		}
		if d := cmp.Diff(stored(f), stored(g)); d != "" {
			t.Fatal(d)
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// What looks like the life before another one is not one of several.
func TestSucceeded(t *testing.T) {
	w := newWorld(t)
	a, b := w.sup("supervisor", "a", ""), w.sup("supervisor", "b", "")
	a.started()
	w.live(time.Minute, a)
	b.started()
	if l := w.host().Lives; !l[0].Succeeded || l[0].Ended != nil || l[1].Succeeded {
		t.Errorf("%+v", l)
	}
	w.live(2*time.Minute, a, b)
	if l := w.host().Lives; l[0].Succeeded || l[0].Ended != nil || l[1].Succeeded {
		t.Errorf("%+v", l)
	}
}

// After a time in which nothing could be stored, the one that comes back first does
// not rule over what is of the other.
func TestNATSWasAway(t *testing.T) {
	w := newWorld(t)
	a, b := w.twoSupervisords()
	a.table("api", "web")
	w.live(time.Minute, a, b)
	for _, away := range []time.Duration{10 * time.Minute, 30 * time.Hour} {
		w.wait(away)
		b.tick()
		b.table("api", "job")
		w.wants("back", "api=RUNNING/a job=RUNNING/b web=RUNNING/a")
		if s, _ := state.Status(w.fleet.State("web1", "web", "web"), w.host(), w.now, state.SilentAfter); s != state.Running || w.host().Boot != "a" {
			t.Errorf("%s %+v", s, w.host())
		}
		a.tick()
		w.live(time.Minute, a, b)
	}
}

// Not even for the seconds until the first of two supervisords is heard again do the
// events of the other one hide a crash of it.
func TestAConflictFromTheStart(t *testing.T) {
	w := newWorld(t)
	a, b := w.sup("system", "a", "one"), w.sup("user", "b", "two")
	a.started()
	a.event(schema.ProcessStateFatal, "api", w.now)
	w.wait(time.Second)
	b.started()
	b.event(schema.ProcessStateStarting, "api", w.now)
	b.event(schema.ProcessStateRunning, "api", w.now)
	b.table("api")
	w.wants("at once", "api=FATAL/a")
	w.live(time.Minute, a, b)
	b.event(schema.ProcessStateExited, "api", w.now)
	b.table("api")
	w.wants("later", "api=FATAL/a")
	w.wantCauses("both live", schema.TroubleConflict)
	if r := w.fleet.State("web1", "api", "api"); r.Starts != 1 || r.Exits != 1 {
		t.Errorf("%+v", r)
	}

	// The first one is no more.
	w.live(4*time.Minute, b)
	b.table("api")
	w.wants("silent", "api=RUNNING/b")
}

// Each section of a supervisord has a bridge with an instance of its own.
func TestSections(t *testing.T) {
	w := newWorld(t)
	a, b := w.sup("supervisor", "a", "one"), w.sup("supervisor", "b", "one")
	section := func(s *sup, instance string) {
		s.instance = instance
		s.started()
	}
	section(a, "one")
	section(a, "logs")
	a.table("web", "old")
	w.live(time.Minute, a)
	section(b, "logs")
	b.event(schema.ProcessStateStarting, "web", w.now)
	section(b, "one")
	b.table("web")
	w.wants("killed, and started again", "web=RUNNING/b")
	if l := w.host().Lives; len(l) != 2 || l[0].Ended == nil || len(l[1].Instances) != 2 {
		t.Errorf("%+v", l)
	}
}

// A trouble that is reported before the bridge knows its supervisord is of nobody's
// life.
func TestATroubleBeginsNoLife(t *testing.T) {
	w := newWorld(t)
	early, a := w.sup("", "0", ""), w.sup("supervisor", "a", "one")
	early.trouble("disk-full", false, w.now)
	early.trouble("nats-rights", false, w.now)
	w.wait(3 * time.Second)
	a.started()
	a.trouble("disk-full", false, w.now)
	w.live(10*time.Minute, a)
	if h := w.host(); len(h.Lives) != 1 || len(h.Troubles) != 1 || h.Troubles[0].Boot != "a" {
		t.Errorf("%+v", h)
	}
}

// The sections of the bridges, which each supervisord has, are no conflict.
func TestBridgesAreNoConflict(t *testing.T) {
	w := newWorld(t)
	a, b := w.twoSupervisords()
	w.live(time.Minute, a, b)
	a.table("web", "supernats", "supernats-logs")
	b.table("job", "supernats", "supernats-logs")
	b.event(schema.ProcessStateExited, "supernats", w.now)
	w.wantCauses("their own sections")
	b.table("web", "supernats")
	w.wantCauses("a program of both", schema.TroubleConflict)
}
