package deathreason

import (
	"testing"
	"time"

	"supernats/bridge/deathreason/reasontest"
	"supernats/schema"
)

func TestInfoExit(t *testing.T) {
	at := time.Unix(1000, 0)
	const early = "Exited too quickly (process log may have details)"
	for _, test := range []struct {
		name, event string
		p           schema.SnapshotProcess
		want        string
	}{
		{
			name:  "it runs again",
			event: schema.ProcessStateExited,
			p:     schema.SnapshotProcess{State: "RUNNING", PID: 7},
			want:  "unknown",
		},
		{
			name:  "a signal",
			event: schema.ProcessStateExited,
			p: schema.SnapshotProcess{
				State: "EXITED", ExitStatus: -1, SpawnErr: "Bad exit code -1", Start: 900, Stop: 1000,
			},
			want: "unknown",
		},
		{
			name:  "an expected exit came after",
			event: schema.ProcessStateExited,
			p:     schema.SnapshotProcess{State: "EXITED", Start: 900, Stop: 1000},
			want:  "unknown",
		},
		{
			name:  "started since",
			event: schema.ProcessStateExited,
			p: schema.SnapshotProcess{
				State: "EXITED", ExitStatus: 3, SpawnErr: "Bad exit code 3", Start: 990, Stop: 1000,
			},
			want: "unknown",
		},
		{
			name:  "stopped since",
			event: schema.ProcessStateExited,
			p: schema.SnapshotProcess{
				State: "STOPPED", ExitStatus: 3, SpawnErr: "Bad exit code 3", Start: 900, Stop: 1000,
			},
			want: "unknown",
		},
		{
			name:  "not FATAL any more",
			event: schema.ProcessStateFatal,
			p:     schema.SnapshotProcess{State: "BACKOFF", SpawnErr: early, Stop: 999},
			want:  "unknown",
		},
		{
			name:  "FATAL again",
			event: schema.ProcessStateFatal,
			p:     schema.SnapshotProcess{State: "FATAL", SpawnErr: early, Stop: 1010},
			want:  "unknown",
		},
		{
			name:  "an older BACKOFF",
			event: schema.ProcessStateBackoff,
			p:     schema.SnapshotProcess{State: "BACKOFF", SpawnErr: early, Stop: 900},
			want:  "unknown",
		},
		{
			name:  "an exit",
			event: schema.ProcessStateExited,
			p: schema.SnapshotProcess{
				State: "EXITED", ExitStatus: 3, SpawnErr: "Bad exit code 3", Start: 988, Stop: 1000,
			},
			want: "code 3",
		},
		{
			name:  "BACKOFF",
			event: schema.ProcessStateBackoff,
			p:     schema.SnapshotProcess{State: "BACKOFF", SpawnErr: early, Stop: 999},
			want:  "spawnerr " + early,
		},
		{
			name:  "a spawn error",
			event: schema.ProcessStateBackoff,
			p:     schema.SnapshotProcess{State: "BACKOFF", SpawnErr: "can't find command 'x'", Start: 999},
			want:  "spawnerr can't find command 'x'",
		},
		{
			name:  "FATAL",
			event: schema.ProcessStateFatal,
			p:     schema.SnapshotProcess{State: "FATAL", SpawnErr: early, Stop: 900},
			want:  "spawnerr " + early,
		},
	} {
		e := &schema.Event{Event: test.event}
		if got := reasontest.Show(rowExit(e, &test.p, time.Unix(990, 0), at, false)); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}
