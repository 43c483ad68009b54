package live

import (
	"strconv"
	"testing"

	"supernats/consumer/fleet"
)

// Ids of events are sequences of the stream; what changes without an event has the next number.
func TestIDsAreSequences(t *testing.T) {
	h := New(Options{})
	for i, c := range []struct {
		snapshot fleet.Snapshot
		place    uint64
		want     string
	}{
		{snapshot: fleet.Snapshot{Version: 1, Seq: 100}, want: "100"},
		{snapshot: fleet.Snapshot{Version: 1, Seq: 100}, want: "100"},
		{snapshot: fleet.Snapshot{Version: 2, Seq: 117}, want: "117"},
		{snapshot: fleet.Snapshot{Version: 3, Seq: 117}, want: "118"}, // a silence
		{snapshot: fleet.Snapshot{Version: 3, Seq: 117}, place: 120, want: "120"},
		{snapshot: fleet.Snapshot{Version: 3, Seq: 117}, want: "118"},
		{snapshot: fleet.Snapshot{Version: 4, Seq: 3}, want: "121"}, // the stream was created again
	} {
		if got := h.eventID(&c.snapshot, c.place); got != c.want {
			t.Errorf("%d: id %s, want %s", i, got, c.want)
		}
	}
}

// Who resumes gets some things twice rather than never.
func TestMarksOfIDs(t *testing.T) {
	h := New(Options{})
	for _, m := range []mark{{100, 1, 0}, {110, 3, 108}, {120, 2, 105}, {130, 4, 130}} {
		if got := h.number(m.number, m.version, m.place); got != m.number {
			t.Fatalf("%+v has the number %d", m, got)
		}
	}
	for _, c := range []struct {
		name, id string
		want     mark
		unknown  bool
	}{
		{name: "of an event", id: "130", want: mark{130, 4, 130}},
		{name: "of a page", id: h.epoch + ".130", want: mark{130, 4, 130}},
		{name: "a page that was ahead of the streams", id: "110", want: mark{110, 2, 105}},
		{name: "without news", id: "100", want: mark{100, 1, 0}},
		{name: "of another server", id: "x.130", unknown: true},
		{name: "never given", id: "115", unknown: true},
		{name: "no number", id: "one", unknown: true},
		{name: "below zero", id: "-1", unknown: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, known := h.markOf(c.id); got != c.want || known == c.unknown {
				t.Errorf("%+v, %v, want %+v", got, known, c.want)
			}
		})
	}
}

// Marks are bounded, and the newest stay.
func TestMarksAreBounded(t *testing.T) {
	h := New(Options{})
	for i := range uint64(10 * keptMarks) {
		h.number(i+1, i+1, 0)
	}
	if len(h.marks) > keptMarks {
		t.Errorf("%d are kept", len(h.marks))
	}
	if _, known := h.markOf(strconv.Itoa(10 * keptMarks)); !known {
		t.Error("the newest is not known")
	}
}
