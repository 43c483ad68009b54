package member_test

import (
	"testing"
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

var t0 = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

// incident is an owner of members.
type incident struct {
	key rules.Key
	set member.Set
}

func (inc *incident) Key() rules.Key { return inc.key }

func TestSet(t *testing.T) {
	roster := member.NewRoster()
	inc := &incident{key: rules.Key{Host: "web1", Group: "api"}}
	process := func(name string) *member.Process {
		return roster.Process(member.Name{Host: "web1", Group: "api", Process: name})
	}
	a, b := inc.set.Add(inc, process("a")), inc.set.Add(inc, process("bb"))
	if inc.set.Len() != 2 || inc.set.Ill() != 2 || inc.set.Size() != 2*90+len("a")+len("bb") {
		t.Fatalf("%d members, %d ill, %d bytes", inc.set.Len(), inc.set.Ill(), inc.set.Size())
	}
	if process("a").In(inc) != a || process("bb").In(inc) != b || process("c").In(inc) != nil {
		t.Error("a process does not know where it is a member")
	}

	a.SetWell(t0)
	if _, ok := inc.set.WellFor(time.Minute); ok {
		t.Error("one of two is ill")
	}
	b.SetWell(t0.Add(time.Second))
	if at, ok := inc.set.WellFor(time.Minute); !ok || !at.Equal(t0.Add(61*time.Second)) {
		t.Errorf("well at %v, %t", at, ok)
	}

	inc.set.Remove(b)
	a.SetWell(time.Time{})
	if inc.set.Len() != 1 || inc.set.Ill() != 1 || len(process("bb").Memberships()) != 0 {
		t.Errorf("%d members, %d ill", inc.set.Len(), inc.set.Ill())
	}
	inc.set.Remove(a)
	if inc.set.Len() != 0 || inc.set.Ill() != 0 || inc.set.Size() != 0 {
		t.Errorf("%d members, %d ill, %d bytes", inc.set.Len(), inc.set.Ill(), inc.set.Size())
	}
}

// Those that have waited for long enough come in the order of the ids of what is reported.
func TestWaiting(t *testing.T) {
	roster := member.NewRoster()
	inc := &incident{}
	wait := func(name, id string, since time.Time) *member.Member {
		mem := inc.set.Add(inc, roster.Process(member.Name{Process: name}))
		mem.Wait(since, &schema.AlertEvent{ID: id})
		return mem
	}
	if at := inc.set.Ripe(time.Minute); !at.IsZero() {
		t.Errorf("nobody waits until %v", at)
	}
	wait("a", "2", t0)
	wait("b", "1", t0.Add(time.Second))
	last := wait("c", "0", t0.Add(time.Hour))

	if at := inc.set.Ripe(time.Minute); !at.Equal(t0.Add(time.Minute)) {
		t.Errorf("the first waits until %v", at)
	}
	ripe := inc.set.RipeAt(t0.Add(2*time.Minute), time.Minute)
	if len(ripe) != 2 || ripe[0].Process.Name.Process != "b" || ripe[1].Process.Name.Process != "a" {
		t.Errorf("%d have waited for long enough", len(ripe))
	}
	for _, mem := range ripe {
		mem.EndWait()
	}
	if at := inc.set.Ripe(time.Minute); !at.Equal(t0.Add(time.Hour + time.Minute)) {
		t.Errorf("the last waits until %v", at)
	}
	inc.set.Remove(last)
	if at := inc.set.Ripe(time.Minute); !at.IsZero() {
		t.Errorf("nobody waits until %v", at)
	}
}

func TestRoster(t *testing.T) {
	roster := member.NewRoster()
	name := member.Name{Host: "web1", Group: "api", Process: "api_00"}
	p := roster.Process(name)
	roster.Process(member.Name{Host: "web2"})
	if roster.Lookup(name) != p || roster.Process(name) != p {
		t.Error("a process is known twice")
	}
	if names := roster.OnHost("web1"); len(names) != 1 || names[0] != name {
		t.Errorf("%+v", names)
	}

	inc := &incident{}
	mem := inc.set.Add(inc, p)
	if roster.Release(p); roster.Lookup(name) == nil {
		t.Error("a member is forgotten")
	}
	inc.set.Remove(mem)
	p.State = schema.StateRunning
	if roster.Release(p); roster.Lookup(name) == nil {
		t.Error("a process that runs is forgotten")
	}
	if roster.Forget(p); roster.Lookup(name) != nil {
		t.Error("it is not forgotten")
	}
}

func TestWellAfter(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name                  string
		state                 string
		seq, serial           uint64 // of its record
		event                 string
		expected              *bool
		eventSeq, eventSerial uint64
		want                  bool
	}{
		{name: "an exit that was expected", event: schema.ProcessStateExited, expected: &yes, want: true},
		{name: "an exit that was not", event: schema.ProcessStateExited, expected: &no},
		{name: "an exit of which that is not known", event: schema.ProcessStateExited},
		{name: "it gave up", event: schema.ProcessStateFatal},
		{name: "it stops", event: schema.ProcessStateStopping, want: true},
		{name: "it runs", event: schema.ProcessStateRunning, want: true},
		{name: "a line of one that is not known", event: schema.ProcessLogStderr, want: true},
		{name: "a line of one that runs", state: schema.StateRunning, seq: 1, event: schema.ProcessLogStderr, eventSeq: 2, eventSerial: 2, want: true},
		{name: "a line of one that gave up", state: schema.StateFatal, seq: 1, event: schema.ProcessLogStderr, eventSeq: 2, eventSerial: 2},
		{
			name: "a snapshot knows better", state: schema.StateRunning, seq: 5, serial: 9,
			event: schema.ProcessStateExited, eventSeq: 5, eventSerial: 7, want: true,
		},
		{
			name: "a later event has overtaken it", state: schema.StateRunning, seq: 4, serial: 9,
			event: schema.ProcessStateExited, eventSeq: 5, eventSerial: 7, want: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &member.Process{State: c.state}
			p.Noted(c.seq, &schema.ProcessRecord{Boot: "b", Serial: c.serial})
			e := &schema.Event{Event: c.event, Process: "api_00", Boot: "b", Serial: c.eventSerial, Expected: c.expected}
			if got := p.WellAfter(e, clock.Meta{Seq: c.eventSeq}); got != c.want {
				t.Errorf("well: %t", got)
			}
		})
	}
}
