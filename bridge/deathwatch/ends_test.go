package deathwatch

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An end that is taken takes those of its name before it along, and no others.
func TestEndsRemoveThrough(t *testing.T) {
	e := ends{byPID: map[int][]*process{}}
	other := Name{Group: "g", Process: "other"}
	lost := &process{pid: 10, name: app}
	kept := &process{pid: 10, name: other}
	taken := &process{pid: 11, name: app}
	later := &process{pid: 12, name: app}
	for _, p := range []*process{lost, kept, taken, later} {
		e.keep(p)
	}

	e.removeThrough(taken, app)
	if len(e.order) != 2 || e.order[0] != kept || e.order[1] != later {
		t.Errorf("%d ends are left", len(e.order))
	}
	if list := e.byPID[10]; len(list) != 1 || list[0] != kept || e.byPID[11] != nil {
		t.Errorf("by pid: %v", e.byPID)
	}
}

// Of ends with one number the program's own is found; what is ambiguous is forgotten.
func TestEndsFind(t *testing.T) {
	status := func(code int) unix.WaitStatus { return unix.WaitStatus(code << 8) }
	other := Name{Group: "g", Process: "other"}
	for _, test := range []struct {
		name string
		ends []process
		want int // the place of the one that is found, -1 for none
		left int
	}{
		{name: "none", want: -1},
		{name: "its own", ends: []process{{name: other}, {name: app, status: status(1)}}, want: 1, left: 2},
		{name: "without a name", ends: []process{{status: status(1)}}, want: 0, left: 1},
		{name: "of another program", ends: []process{{name: other}}, want: -1, left: 1},
		{name: "the same twice", ends: []process{{status: status(1)}, {status: status(1)}}, want: 0, left: 2},
		{name: "ambiguous", ends: []process{{status: status(1)}, {status: status(2)}}, want: -1},
	} {
		e := ends{byPID: map[int][]*process{}}
		for i := range test.ends {
			test.ends[i].pid = 10
			e.keep(&test.ends[i])
		}
		got := -1
		p := e.find(10, app)
		for i := range test.ends {
			if p == &test.ends[i] {
				got = i
			}
		}
		if got != test.want || len(e.order) != test.left {
			t.Errorf("%s: found %d, %d are left", test.name, got, len(e.order))
		}
	}
}

// Ends that no event has asked for in an hour are dropped and counted.
func TestEndsDropOld(t *testing.T) {
	e := ends{byPID: map[int][]*process{}}
	e.keep(&process{pid: 10, died: time.Now().Add(-2 * keepFor)})
	e.keep(&process{pid: 11, died: time.Now()})
	if e.dropOld(); len(e.order) != 1 || e.order[0].pid != 11 || e.dropped != 1 {
		t.Errorf("%d ends, %d dropped", len(e.order), e.dropped)
	}
}
