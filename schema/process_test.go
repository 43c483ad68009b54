package schema_test

import (
	"testing"

	"supernats/schema"
)

func TestProcessOf(t *testing.T) {
	for _, c := range []struct {
		payload string
		name    schema.ProcessName
		pid     int
	}{
		{
			payload: "processname:p groupname:g from_state:RUNNING expected:0 pid:7",
			name:    schema.ProcessName{Group: "g", Process: "p"},
			pid:     7,
		},
		{
			payload: "processname:my.app-weird*>é groupname: from_state:x pid:7\n",
			name:    schema.ProcessName{Group: "my.app-weird*>é", Process: "my.app-weird*>é"},
			pid:     7,
		},
		{
			payload: "processname:p groupname:g from_state:STARTING tries:1\npid:7",
			name:    schema.ProcessName{Group: "g", Process: "p"},
		},
		{payload: ""},
	} {
		if name, pid := schema.ProcessOf([]byte(c.payload)); name != c.name || pid != c.pid {
			t.Errorf("%q: %+v %d, want %+v %d", c.payload, name, pid, c.name, c.pid)
		}
	}
}

func TestStates(t *testing.T) {
	type facts struct {
		code        int
		up, stopped bool
	}
	want := map[string]facts{
		schema.StateStopped:  {code: 0, stopped: true},
		schema.StateStarting: {code: 10, up: true},
		schema.StateRunning:  {code: 20, up: true},
		schema.StateBackoff:  {code: 30},
		schema.StateStopping: {code: 40, stopped: true},
		schema.StateExited:   {code: 100},
		schema.StateFatal:    {code: 200},
		schema.StateUnknown:  {code: 1000},
	}
	last := -1
	for _, state := range schema.States() {
		got := facts{schema.StateCode(state), schema.IsUp(state), schema.IsStopped(state)}
		if got != want[state] || got.code <= last {
			t.Errorf("%s: %+v, want %+v, after %d", state, got, want[state], last)
		}
		if !schema.IsState(state) || !schema.Known("PROCESS_STATE_"+state) {
			t.Errorf("%s is not known", state)
		}
		last = got.code
	}
	if len(schema.States()) != len(want) || schema.IsState("running") || schema.IsState("") {
		t.Errorf("states are %q", schema.States())
	}
}
