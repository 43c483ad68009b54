package schema

import "testing"

func TestProcessOf(t *testing.T) {
	for payload, want := range map[string]struct {
		name ProcessName
		pid  int
	}{
		"processname:p groupname:g from_state:RUNNING expected:0 pid:7": {ProcessName{"g", "p"}, 7},
		"processname:my.app-weird*>é groupname: from_state:x pid:7\n":   {ProcessName{"my.app-weird*>é", "my.app-weird*>é"}, 7},
		"processname:p groupname:g from_state:STARTING tries:1\npid:7":  {ProcessName{"g", "p"}, 0},
		"": {},
	} {
		if name, pid := ProcessOf([]byte(payload)); name != want.name || pid != want.pid {
			t.Errorf("%q: %+v %d, want %+v", payload, name, pid, want)
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
