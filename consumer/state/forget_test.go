package state_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/state"
	"supernats/schema"
)

// What has been out of supervisord's configuration for long is dropped, what is in it or
// has left it lately is not.
func TestForgetGone(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	gone := func(process string, since time.Time) schema.ProcessRecord {
		return schema.ProcessRecord{Host: "web1", Group: "api", Process: process, State: "EXITED", Gone: &schema.Time{Time: since}, Updated: schema.Time{Time: since}}
	}
	f := state.NewFleet()
	f.Load([]schema.HostRecord{{Host: "web1", LastSeen: schema.Time{Time: at}}}, []schema.ProcessRecord{
		gone("long", at.Add(-31*24*time.Hour)), gone("lately", at.Add(-time.Hour)), {Host: "web1", Group: "api", Process: "here", State: "RUNNING"},
	})
	if d := cmp.Diff([]string{"web1.api.long"}, f.ForgetGone(at.Add(-30*24*time.Hour))); d != "" {
		t.Error(d)
	}
	var left []string
	for key := range f.States() {
		left = append(left, key)
	}
	slices.Sort(left)
	if d := cmp.Diff([]string{"web1.api.here", "web1.api.lately"}, left); d != "" {
		t.Error(d)
	}
}

// A message that the record of a host has seen, or that was written before the host spoke
// again, does not drop it.
func TestForgetAgain(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		seq    uint64
		seen   *schema.Time
		forget bool
	}{
		"seen before":       {seq: 7, seen: nil, forget: false},
		"not seen":          {seq: 8, seen: nil, forget: true},
		"silent since then": {seq: 8, seen: &schema.Time{Time: at}, forget: true},
		"has spoken since":  {seq: 8, seen: &schema.Time{Time: at.Add(-time.Second)}, forget: false},
	} {
		t.Run(name, func(t *testing.T) {
			f := state.NewFleet()
			f.Load([]schema.HostRecord{{Host: "web1", Seq: 7, LastSeen: schema.Time{Time: at.Add(300)}}}, []schema.ProcessRecord{{Host: "web1", Group: "api", Process: "a", State: "RUNNING"}})
			gone := f.Forget(state.Meta{Seq: c.seq, Stored: at}, &schema.Forgotten{Host: "web1", LastSeen: c.seen})
			if (gone.HostKey == "web1") != c.forget || (len(gone.States) == 1) != c.forget || (f.Host("web1") == nil) != c.forget || (f.Named("web1") == "") != c.forget {
				t.Errorf("%+v, host is %v", gone, f.Host("web1"))
			}
		})
	}
}

func TestSaidGoodbye(t *testing.T) {
	at := &schema.Time{Time: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)}
	for name, c := range map[string]struct {
		h    schema.HostRecord
		want bool
	}{
		"runs":                        {h: schema.HostRecord{Lives: []schema.HostLife{{Ephemeral: true}}}, want: false},
		"stops":                       {h: schema.HostRecord{Stopping: at, Lives: []schema.HostLife{{Ephemeral: true, Stopping: at}}}, want: true},
		"stops, and is to come back":  {h: schema.HostRecord{Stopping: at, Lives: []schema.HostLife{{Stopping: at}}}, want: false},
		"one of two is to come back":  {h: schema.HostRecord{Stopping: at, Lives: []schema.HostLife{{Stopping: at}, {Ephemeral: true, Stopping: at}}}, want: false},
		"one that was before it":      {h: schema.HostRecord{Stopping: at, Lives: []schema.HostLife{{Ended: at}, {Ephemeral: true, Stopping: at}}}, want: true},
		"written by an older version": {h: schema.HostRecord{Stopping: at}, want: false},
	} {
		if got := c.h.SaidGoodbye(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Containers come and go: the room that those had which are forgotten is for others.
func TestForgottenMakeRoom(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	f := state.NewFleet()
	f.Limit(state.Limits{Hosts: 2, Processes: 4, AllProcesses: 4})
	running := func(host, process string, seq uint64) state.Changes {
		e := &schema.Event{Event: schema.ProcessStateRunning, Host: host, Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: seq, Group: "api", Process: process}
		return f.Event(state.Meta{Seq: seq, Stored: at}, e.Envelope(at))
	}
	seq := uint64(0)
	for range 5 {
		for _, process := range []string{"a", "b", "c"} {
			if seq++; len(running("web1", process, seq).States) != 1 {
				t.Fatalf("message %d: there is no room for a process", seq)
			}
		}
		seq++
		if gone := f.Forget(state.Meta{Seq: seq, Stored: at}, &schema.Forgotten{Host: "web1"}); len(gone.States) != 3 {
			t.Fatalf("%+v", gone)
		}
	}

	long := schema.Time{Time: at.Add(-31 * 24 * time.Hour)}
	f.Load(nil, []schema.ProcessRecord{{Host: "web1", Group: "api", Process: "a", State: "EXITED", Gone: &long, Updated: long}})
	if gone := f.ForgetGone(at.Add(-30 * 24 * time.Hour)); len(gone) != 1 {
		t.Fatalf("%q", gone)
	}
	for _, process := range []string{"b", "c", "d", "e"} {
		if seq++; len(running("web1", process, seq).States) != 1 {
			t.Errorf("there is no room for process %s", process)
		}
	}
}
