package state_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"supernats/consumer/state"
	"supernats/schema"
)

// supervisor is a model of a supervisord with its bridge: what happens, what the
// bridge reads of it and when, and what comes into the stream.
type supervisor struct {
	t          *rapid.T
	name       string
	now        time.Time
	boot       int
	serial     uint64
	pid        int
	table      map[string]*program // by group:process
	unread     []*schema.Event
	lost       uint64 // before the first one that is unread
	unreported uint64 // of what was lost
	read       uint64 // the serial of the last event read
	stream     []message
	counts     map[string]schema.ProcessRecord
	pending    *schema.Snapshot // asked for; Processes are set when it is answered
	asked      uint64           // the serial of the last one
	answered   time.Time
	removed    map[string]uint64 // the serials of these events, by their group
}

type program struct {
	schema.SnapshotProcess
	added uint64 // the serial of the last event before
}

// message is one of the stream: *schema.CloudEvent[T].
type message struct {
	meta state.Meta
	ce   any
}

func newSupervisor(t *rapid.T) *supervisor { return newNamed(t, "") }

// newNamed is one of several of one host; name is what its groups begin with.
func newNamed(t *rapid.T, name string) *supervisor {
	s := &supervisor{t: t, name: name, now: zero, pid: 100, table: map[string]*program{}, counts: map[string]schema.ProcessRecord{}, removed: map[string]uint64{}}
	for _, group := range s.groups() {
		s.addGroup(group)
	}
	s.started()
	return s
}

func (s *supervisor) groups() []string { return []string{s.name + "api", s.name + "worker"} }

func (s *supervisor) bootName() string {
	return s.name + strings.Repeat(string(rune('a'+s.boot)), 16)
}

// started is what a bridge says at its start, in a new life of its supervisord too.
func (s *supervisor) started() {
	s.store((&schema.Bridge{Host: "web1", Server: "supervisor", Boot: s.bootName(), Pool: "supernats", Instance: s.name + "one"}).Envelope(schema.BridgeStarted, s.now))
}

func (s *supervisor) addGroup(group string) {
	for _, name := range []string{"00", "01"} {
		row := schema.SnapshotProcess{Group: group, Process: name, State: "STOPPED"}
		s.table[group+":"+name] = &program{row, s.serial}
	}
}

// emit is an event for the listener.
func (s *supervisor) emit(e schema.Event) {
	s.serial++
	e.Host, e.Server, e.Boot, e.Serial, e.Pool = "web1", "supervisor", s.bootName(), s.serial, "supernats"
	s.unread = append(s.unread, &e)
}

// next are the states that may follow one.
var next = map[string][]string{
	"STOPPED":  {"STARTING"},
	"STARTING": {"RUNNING", "BACKOFF", "STOPPING"},
	"RUNNING":  {"EXITED", "STOPPING"},
	"BACKOFF":  {"STARTING", "FATAL", "STOPPED"},
	"STOPPING": {"STOPPED"},
	"EXITED":   {"STARTING"},
	"FATAL":    {"STARTING"},
}

// change takes a process into a state, as supervisord does it (process.py).
func (s *supervisor) change(p *program, to string) {
	e := schema.Event{Event: "PROCESS_STATE_" + to, Group: p.Group, Process: p.Process, FromState: p.State, PID: p.PID}
	key := p.Group + ":" + p.Process
	c := s.counts[key]
	switch to {
	case "STARTING":
		s.pid++
		p.PID, e.PID, p.Start, p.SpawnErr, p.ExitStatus = s.pid, 0, s.now.Unix(), "", 0
		c.Starts++
	case "BACKOFF":
		p.PID, e.PID, p.Stop, p.SpawnErr = 0, 0, s.now.Unix(), "Exited too quickly"
	case "FATAL":
		c.Fatals++
	case "STOPPED":
		p.PID, p.Stop = 0, s.now.Unix()
	case "EXITED":
		code := rapid.SampledFrom([]int{0, 3, -1}).Draw(s.t, "code")
		e.Expected = p_(code == 0)
		p.PID, p.Stop, p.ExitStatus = 0, s.now.Unix(), code
		c.Exits++
		if code != 0 {
			p.SpawnErr = "Bad exit code"
			c.UnexpectedExits++
		}
	}
	p.State = to
	s.counts[key] = c
	s.emit(e)
}

func p_(b bool) *bool { return &b }

func (s *supervisor) programs() []*program {
	var all []*program
	for _, key := range slices.Sorted(maps.Keys(s.table)) {
		all = append(all, s.table[key])
	}
	return all
}

func (s *supervisor) happen() {
	all := s.programs()
	if len(all) == 0 {
		return
	}
	p := rapid.SampledFrom(all).Draw(s.t, "process")
	s.change(p, rapid.SampledFrom(next[p.State]).Draw(s.t, "to"))
}

// regroup takes out a group whose processes are stopped, or puts one in.
func (s *supervisor) regroup() {
	group := rapid.SampledFrom(s.groups()).Draw(s.t, "group")
	has := false
	for _, p := range s.table {
		if p.Group != group {
			continue
		}
		if has = true; !slices.Contains([]string{"STOPPED", "EXITED", "FATAL"}, p.State) {
			return
		}
	}
	if !has {
		s.addGroup(group)
		s.emit(schema.Event{Event: schema.ProcessGroupAdded, Group: group})
		return
	}
	for key, p := range s.table {
		if p.Group == group {
			delete(s.table, key)
		}
	}
	s.emit(schema.Event{Event: schema.ProcessGroupRemoved, Group: group})
	s.removed[group] = s.serial
}

// store puts a message into the stream, maybe much later.
func (s *supervisor) store(ce any) {
	n := uint64(len(s.stream) + 1)
	s.stream = append(s.stream, message{state.Meta{Seq: 2 * n, Stored: zero.Add(24*time.Hour + time.Duration(n)*time.Second)}, ce})
}

// readSome lets the bridge read events.
func (s *supervisor) readSome() {
	for range min(len(s.unread), rapid.IntRange(1, 4).Draw(s.t, "events")) {
		e := s.unread[0]
		s.unreported, s.lost = s.unreported+s.lost, 0
		s.unread, s.read = s.unread[1:], e.Serial
		s.store(e.Envelope(s.now))
	}
}

func (s *supervisor) readAll() {
	for len(s.unread) > 0 {
		s.readSome()
	}
}

// lose overflows supervisord's buffer: the oldest events are dropped.
func (s *supervisor) lose() {
	n := rapid.IntRange(0, len(s.unread)).Draw(s.t, "lost")
	s.unread, s.lost = s.unread[n:], s.lost+uint64(n)
}

// reportLoss lets the bridge report a loss that it has noticed. It does so a second
// later: a snapshot that was asked for before has been stored by then.
func (s *supervisor) reportLoss() {
	if s.unreported > 0 {
		for s.pending != nil {
			s.snapshot()
		}
		s.store((&schema.Loss{Host: "web1", Boot: s.bootName(), Count: s.unreported}).Envelope(s.now))
		s.unreported = 0
	}
}

// snapshot takes the next step of one: ask, answer, store.
func (s *supervisor) snapshot() {
	switch {
	case s.pending == nil:
		s.asked = s.read
		s.pending = &schema.Snapshot{Host: "web1", Server: "supervisor", Boot: s.bootName(), Serial: s.read, SupervisorState: "RUNNING"}
	case s.pending.Processes == nil:
		s.pending.Processes, s.answered = []schema.SnapshotProcess{}, s.now
		for _, p := range s.programs() {
			s.pending.Processes = append(s.pending.Processes, p.SnapshotProcess)
		}
	default:
		s.store(s.pending.Envelope(s.answered))
		s.pending = nil
	}
}

// restart is another life of supervisord. What the bridge did not read is lost.
func (s *supervisor) restart() {
	s.boot, s.serial, s.read, s.unread, s.pending = s.boot+1, 0, 0, nil, nil
	s.lost = 0
	s.wait()
	s.started()
	s.reset()
}

// reload reads the configuration again: other groups without an event.
func (s *supervisor) reload(loss bool) {
	s.emit(schema.Event{Event: schema.SupervisorStateChangeStopping})
	for _, p := range s.programs() {
		for slices.Contains([]string{"STARTING", "RUNNING", "STOPPING"}, p.State) {
			s.change(p, map[string]string{"STARTING": "STOPPING", "RUNNING": "STOPPING", "STOPPING": "STOPPED"}[p.State])
		}
	}
	if s.pending != nil && s.pending.Processes != nil {
		s.snapshot() // the bridge is stopped too, and stores what it has
	}
	s.pending = nil // what is not answered by now is refused
	if loss {
		s.readSome()
		s.unread, s.lost = nil, 0 // the pools are created again, and with them their buffers
	}
	s.readAll()
	s.emit(schema.Event{Event: schema.SupervisorStateChangeRunning})
	s.reset()
}

func (s *supervisor) reset() {
	clear(s.table)
	for _, group := range s.groups() {
		if rapid.IntRange(0, 4).Draw(s.t, "configured") > 0 {
			s.addGroup(group)
		}
	}
	for _, p := range s.programs() {
		if rapid.Bool().Draw(s.t, "autostart") {
			s.change(p, "STARTING")
		}
	}
}

func (s *supervisor) wait() {
	s.now = s.now.Add(time.Duration(rapid.IntRange(1, 4000).Draw(s.t, "ms")) * time.Millisecond)
}

// steps are what may happen, most of it more often than the rest.
func (s *supervisor) steps(loss, restarts bool, n int) {
	all := []func(){s.happen, s.happen, s.happen, s.happen, s.readSome, s.readSome, s.readSome, s.snapshot, s.snapshot, s.wait, s.regroup}
	if loss {
		all = append(all, s.lose, s.lose, s.reportLoss)
	}
	if restarts {
		all = append(all, func() {
			if !loss {
				s.readAll()
			}
			s.restart()
		}, func() { s.reload(loss) })
	}
	for range rapid.IntRange(0, n).Draw(s.t, "steps") {
		all[rapid.IntRange(0, len(all)-1).Draw(s.t, "step")]()
	}
}

// ordinary is what happens and is read, without snapshots and losses.
func (s *supervisor) ordinary(n int) {
	all := []func(){s.happen, s.happen, s.readSome, s.wait, s.regroup}
	for range rapid.IntRange(0, n).Draw(s.t, "steps") {
		all[rapid.IntRange(0, len(all)-1).Draw(s.t, "step")]()
	}
}

// lastSnapshot takes one whose three steps lie apart.
func (s *supervisor) lastSnapshot(n int) {
	s.pending = nil
	if s.lost > 0 {
		s.emit(schema.Event{Event: schema.Tick5}) // if nothing else does, a tick shows the gap
		s.readSome()
	}
	s.reportLoss()
	for range 3 {
		s.snapshot()
		s.ordinary(n)
	}
}
