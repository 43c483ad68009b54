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
