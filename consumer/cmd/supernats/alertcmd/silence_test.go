package alertcmd

import (
	"testing"
	"time"
)

func TestMuteIDsSortByTime(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	last := ""
	for n := range 200 {
		id := newMuteID(noon.Add(time.Duration(n) * time.Second))
		if len(id) != 10 || id <= last || seen[id] {
			t.Errorf("%s follows %s", id, last)
		}
		last, seen[id] = id, true
	}
	same := map[string]bool{}
	for range 20 {
		same[newMuteID(noon)] = true
	}
	if len(same) < 15 {
		t.Errorf("%d ids of 20 in one second", len(same))
	}
}
