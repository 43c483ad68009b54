package schema_test

import (
	"testing"
	"time"

	"supernats/schema"
)

// at is a time some seconds after the beginning of a test.
func at(seconds int) schema.Time {
	return schema.Time{Time: time.Unix(1_800_000_000+int64(seconds), 0).UTC()}
}

func TestHostHasLost(t *testing.T) {
	for _, c := range []struct {
		name  string
		lives []schema.HostLife
		want  bool // of the first one
	}{
		{
			name:  "alone, it is as silent as its host",
			lives: []schema.HostLife{{Boot: "a", LastSeen: at(0)}},
		},
		{
			name:  "another one was heard for long",
			lives: []schema.HostLife{{Boot: "a", LastSeen: at(0)}, {Boot: "b", LastSeen: at(600), Steady: at(-100)}},
			want:  true,
		},
		{
			name:  "the other one was away as well",
			lives: []schema.HostLife{{Boot: "a", LastSeen: at(0)}, {Boot: "b", LastSeen: at(600), Steady: at(590)}},
		},
		{
			name: "the other one has ended",
			lives: []schema.HostLife{
				{Boot: "a", LastSeen: at(600)}, {Boot: "b", LastSeen: at(300), Ended: new(at(300))},
			},
		},
		{
			name:  "it was killed",
			lives: []schema.HostLife{{Boot: "a", LastSeen: at(600), SupervisorState: schema.SupervisorGone}},
			want:  true,
		},
	} {
		h := &schema.HostRecord{LastSeen: at(600), Lives: c.lives}
		if len(c.lives) == 1 {
			h.LastSeen = c.lives[0].LastSeen
		}
		if got := h.HasLost(h.Life("a"), schema.SilentAfter); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if h := (&schema.HostRecord{}); h.Life("a") != nil {
		t.Error("there is no life a")
	}
}
