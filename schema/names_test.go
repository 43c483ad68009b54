package schema

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	want := []string{
		"PROCESS_STATE_STOPPED", "PROCESS_STATE_EXITED", "PROCESS_STATE_STARTING", "PROCESS_STATE_STOPPING",
		"PROCESS_STATE_BACKOFF", "PROCESS_STATE_FATAL", "PROCESS_STATE_RUNNING", "PROCESS_STATE_UNKNOWN",
		"PROCESS_COMMUNICATION_STDOUT", "PROCESS_COMMUNICATION_STDERR", "PROCESS_LOG_STDOUT", "PROCESS_LOG_STDERR",
		"REMOTE_COMMUNICATION", "SUPERVISOR_STATE_CHANGE_RUNNING", "SUPERVISOR_STATE_CHANGE_STOPPING",
		"TICK_5", "TICK_60", "TICK_3600", "PROCESS_GROUP_ADDED", "PROCESS_GROUP_REMOVED",
	}
	if diff := cmp.Diff(want, Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	// What is returned is the caller's own.
	Names()[0], Families()[0] = "x", "x"
	if Names()[0] != want[0] || Families()[0] != "EVENT" {
		t.Error("Names or Families hands out its own list")
	}
	for _, n := range append([]string{"", "tick_5", "TICK", "PROCESS_STATE", "EVENT", "PROCESS_STATE_"}, Families()...) {
		if Known(n) {
			t.Errorf("%q is taken for a concrete event", n)
		}
	}
}

func TestIs(t *testing.T) {
	for _, c := range []struct {
		name, want string
		is         bool
	}{
		{name: "PROCESS_STATE_EXITED"},
		{name: "PROCESS_STATE_EXITED", want: "PROCESS"},
		{name: "PROCESS_STATE_EXITED", want: "PROCESS_STAT"},
		{name: "PROCESS_STATE_EXITED", want: "PROCESS_STATE_"},
		{name: "PROCESS_STATE_EXITED", want: "PROCESS_STATE_EXIT"},
		{name: "PROCESS_STATE_EXITED", want: "process_state"},
		{name: "PROCESS_STATE_EXITED", want: "PROCESS_LOG"},
		{name: "PROCESS_STATES", want: "PROCESS_STATE"},
		{name: "TICK_5", want: "TICK_50"},
		{name: "TICK_5_X", want: "TICK_5"},
		{name: "REMOTE_COMMUNICATION_X", want: "REMOTE_COMMUNICATION"},
		{name: "PROCESS_STATE", want: "PROCESS_STATE_EXITED"},
		{name: "EVENT", want: "TICK"},
		{want: "EVENT", is: true},
		{name: "ANYTHING", want: "EVENT", is: true},
		{name: "ANYTHING", want: "ANYTHING", is: true},
		{name: "PROCESS_STATE", want: "PROCESS_STATE", is: true},
		{name: "PROCESS_STATE_EXITED", want: "PROCESS_STATE_EXITED", is: true},
		{name: "PROCESS_STATE_EXITED", want: "PROCESS_STATE", is: true},
		{name: "PROCESS_STATE_FROZEN", want: "PROCESS_STATE", is: true},
		{name: "PROCESS_LOG_STDOUT", want: "PROCESS_LOG", is: true},
		{name: "PROCESS_COMMUNICATION_STDERR", want: "PROCESS_COMMUNICATION", is: true},
		{name: "SUPERVISOR_STATE_CHANGE_RUNNING", want: "SUPERVISOR_STATE_CHANGE", is: true},
		{name: "TICK_3600", want: "TICK", is: true},
		{name: "PROCESS_GROUP_ADDED", want: "PROCESS_GROUP", is: true},
	} {
		if got := Is(c.name, c.want); got != c.is {
			t.Errorf("Is(%q, %q) = %t", c.name, c.want, got)
		}
	}
}

// Every concrete name is below EVENT and, but for REMOTE_COMMUNICATION, below
// exactly one other family; its subject has no tail that another name has.
func TestFamilies(t *testing.T) {
	tails := map[string]string{}
	for _, n := range Names() {
		var below []string
		for _, f := range Families() {
			if Is(n, f) {
				below = append(below, f)
			}
		}
		if want := 2; len(below) != want && n != RemoteCommunication {
			t.Errorf("%s is below %q", n, below)
		}
		if !slices.Contains(below, "EVENT") {
			t.Errorf("%s is not below EVENT", n)
		}
		family, kind := Tail(n, "")
		if other, ok := tails[family+"."+kind]; ok {
			t.Errorf("%s and %s share the tail %s.%s", n, other, family, kind)
		}
		tails[family+"."+kind] = n
		if family == familyOther {
			t.Errorf("%s has no family", n)
		}
	}
}

// The type of a REMOTE_COMMUNICATION has no say in the subject of another event.
func TestTailType(t *testing.T) {
	for _, n := range []string{ProcessStateExited, "FROZEN"} {
		f1, k1 := Tail(n, "")
		f2, k2 := Tail(n, "some type")
		if f1 != f2 || k1 != k2 {
			t.Errorf("tail of %s with a type is %s.%s, without %s.%s", n, f2, k2, f1, k1)
		}
	}
}
