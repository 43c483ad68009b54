package deathreason

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

// Which events are new, which wait to be followed, and where some are missing.
func TestSequence(t *testing.T) {
	const starting = schema.ProcessStateStarting
	for _, test := range []struct {
		name   string
		events []*schema.Event
		goPort bool
		steps  []uint64 // serials
		lost   []uint64 // those of steps before which events are missing
	}{
		{
			name:   "one after the other",
			events: []*schema.Event{at(starting, 7, 1), at(starting, 8, 2)},
			steps:  []uint64{7, 8}, lost: []uint64{7},
		},
		{
			name:   "others in between that are not of processes",
			events: []*schema.Event{at(starting, 7, 1), at("TICK_5", 8, 2), at(starting, 9, 3)},
			steps:  []uint64{7, 9}, lost: []uint64{7},
		},
		{
			name:   "a gap of the pool's serials",
			events: []*schema.Event{at(starting, 7, 1), at(starting, 9, 3), at(starting, 10, 4)},
			steps:  []uint64{7, 9, 10}, lost: []uint64{7, 9},
		},
		{
			name:   "a gap before a tick",
			events: []*schema.Event{at(starting, 7, 1), at("TICK_5", 9, 3), at(starting, 10, 4)},
			steps:  []uint64{7, 10}, lost: []uint64{7, 10},
		},
		{
			name:   "repeated",
			events: []*schema.Event{at(starting, 7, 1), at(starting, 8, 2), at(starting, 7, 1), at(starting, 9, 3)},
			steps:  []uint64{7, 8, 9}, lost: []uint64{7},
		},
		{
			name:   "neighbours that the Go port has swapped",
			events: []*schema.Event{at(starting, 8, 2), at(schema.ProcessStateFatal, 7, 1), at(starting, 9, 3)},
			goPort: true,
			steps:  []uint64{8, 7, 9},
		},
	} {
		m := newMemory()
		s := sequence{memory: &m}
		for _, e := range test.events {
			s.note(Received{Event: e, At: time.Unix(1000, 0)}, test.goPort)
		}
		var steps, lost []uint64
		for _, step := range s.steps {
			steps = append(steps, step.Serial)
			if step.Lost {
				lost = append(lost, step.Serial)
			}
		}
		if diff := cmp.Diff([][]uint64{test.steps, test.lost}, [][]uint64{steps, lost}); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.name, diff)
		}
	}
}

// Events beyond maxSteps are dropped as if they had been lost.
func TestSequenceBound(t *testing.T) {
	m := newMemory()
	s := sequence{memory: &m}
	for serial := range uint64(maxSteps + 1) {
		s.note(Received{Event: at(schema.ProcessStateStarting, serial, serial)}, false)
	}
	if len(s.steps) != 1 || !s.steps[0].Lost {
		t.Errorf("%d events wait", len(s.steps))
	}
}

// at is an event of one process.
func at(name string, serial, poolSerial uint64) *schema.Event {
	return &schema.Event{Event: name, Serial: serial, Pool: "p", PoolSerial: poolSerial, Group: "g", Process: "n"}
}
