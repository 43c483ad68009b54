package state_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/consumer/state"
	"supernats/schema"
)

func (w *world) trouble(cause string) string {
	for _, t := range w.host().Troubles {
		if t.Cause == cause {
			return t.Text
		}
	}
	return ""
}

func (w *world) processes() (n int) {
	for range w.fleet.States() {
		n++
	}
	return n
}

func names(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}

// Names that one host invents are bounded, counted and said; those that it had before
// stay.
func TestProcessesOfAHostAreBounded(t *testing.T) {
	w := newWorld(t)
	w.fleet.Limit(state.Limits{Hosts: 2, Processes: 100, AllProcesses: 150})
	a := w.sup("system", "a", "one")
	a.started()
	a.table(names("real", 80)...)
	if w.processes() != 80 || len(w.host().Troubles) != 0 {
		t.Fatal(w.processes(), w.host().Troubles)
	}

	w.wait(time.Second)
	a.table(append(names("real", 80), names("new", 1000)...)...)
	if n := w.processes(); n != 100 || !strings.Contains(w.trouble(schema.TroubleProcesses), "more than 100 processes, which is the limit: the state of 980 ") {
		t.Errorf("%d processes, %q", n, w.trouble(schema.TroubleProcesses))
	}
	for i := range 50 {
		w.wait(time.Second)
		if c := a.event(schema.ProcessStateExited, fmt.Sprint("other", i), w.now); len(c.States) > 0 || c.Host == nil {
			t.Error(c)
		}
	}
	a.event(schema.ProcessStateFatal, "real7", w.now)
	if s := w.fleet.State("web1", "real7", "real7"); w.processes() != 100 || s == nil || s.State != "FATAL" {
		t.Error(w.processes(), s)
	}

	w.wait(time.Second)
	a.table(names("real", 80)...)
	if got := w.trouble(schema.TroubleProcesses); got != "" {
		t.Errorf("it is over, but %q", got)
	}
	w.restart()
	if w.processes() != 100 {
		t.Error(w.processes())
	}
}

// A host that gives its programs other names all the time forgets the oldest: slowly, so
// that nobody fills a bucket with names that were.
func TestNamesThatChange(t *testing.T) {
	w := newWorld(t)
	w.fleet.Limit(state.Limits{Hosts: 2, Processes: 100, AllProcesses: 150})
	a := w.sup("system", "a", "one")
	a.started()
	forgotten := map[string]bool{}
	for i := range 50 {
		w.wait(10 * time.Minute)
		for _, c := range a.table(names(fmt.Sprint("release", i, "-"), 40)...).States {
			if c.State == nil {
				forgotten[c.Key] = true
			}
		}
		if n := w.processes(); n > 100 {
			t.Fatal(n)
		}
	}
	if len(forgotten) == 0 || len(forgotten) > 100*9 {
		t.Errorf("%d are forgotten in eight hours", len(forgotten))
	}
	if c := w.host().Running; c == 0 || c > 40 {
		t.Errorf("%d are running", c)
	}
}

func TestAllHostsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.fleet.Limit(state.Limits{Hosts: 2, Processes: 100, AllProcesses: 150})
	for _, host := range []string{"web1", "web2"} {
		if err := w.fleet.Admits(host); err != nil {
			t.Error(err)
		}
		s := &schema.Snapshot{Host: host, Server: "supervisor", Boot: "b", Serial: 1, SupervisorState: "RUNNING"}
		for _, p := range names("p", 100) {
			s.Processes = append(s.Processes, schema.SnapshotProcess{Group: p, Process: p, State: "RUNNING"})
		}
		w.fleet.Snapshot(w.meta(), s.Envelope(w.now))
	}
	if n := w.processes(); n != 150 {
		t.Errorf("%d processes", n)
	}
	if h := w.fleet.Host("web2"); len(h.Troubles) != 1 || !strings.Contains(h.Troubles[0].Text, "more than 150") || !strings.Contains(h.Troubles[0].Fix, "limits.processes ") {
		t.Errorf("%+v", h.Troubles)
	}
	if err := w.fleet.Admits("web3"); err == nil || w.fleet.Admits("web2") != nil {
		t.Error(err)
	}
}

// What a bridge reports hides nothing that was found here.
func TestTroublesOfOursAreAlwaysShown(t *testing.T) {
	w := newWorld(t)
	a := w.sup("system", "a", "one")
	a.started()
	for i := range 40 {
		w.fleet.Trouble(w.meta(), (&schema.Trouble{Host: "web1", Boot: "a", Pool: "supernats", Cause: fmt.Sprint("cause", i)}).Envelope(w.now))
	}
	w.fleet.Refused(w.meta(), "web1", "it is \x1b[2J nonsense", 7, 2)
	got := w.causes()
	if len(got) != 32 || !slices.Contains(got, schema.TroubleUnreadable) || w.host().MoreTroubles == 0 {
		t.Error(got)
	}
	if text := w.trouble(schema.TroubleUnreadable); text != "7 messages could not be read, 2 of them were not kept; the last one: it is ?[2J nonsense" {
		t.Error(text)
	}
	if c := w.fleet.Refused(w.meta(), "nobody", "x", 1, 0); c.Host != nil || w.fleet.Host("nobody") != nil {
		t.Error("a host was made of what nobody can read")
	}
}
