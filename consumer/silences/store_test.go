package silences

import (
	"strings"
	"testing"
	"time"

	"supernats/schema"
)

func TestIDsSortByTime(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	last := ""
	for n := range 200 {
		id := newID(noon.Add(time.Duration(n) * time.Second))
		if len(id) != 10 || id <= last || seen[id] {
			t.Errorf("%s follows %s", id, last)
		}
		last, seen[id] = id, true
	}
	same := map[string]bool{}
	for range 20 {
		same[newID(noon)] = true
	}
	if len(same) < 15 {
		t.Errorf("%d ids of 20 in one second", len(same))
	}
}

func TestSilencesAreChecked(t *testing.T) {
	noon := schema.Time{Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	for _, c := range []struct {
		name, want string
		change     func(*schema.Mute)
	}{
		{name: "no reason", want: "comment: missing", change: func(m *schema.Mute) { m.Comment = " " }},
		{name: "over at once", want: "ends before it begins", change: func(m *schema.Mute) { m.Expires = noon }},
		{name: "a bad glob", want: "group: ", change: func(m *schema.Mute) { m.Groups = []string{"[a"} }},
		{name: "all is right", change: func(*schema.Mute) {}},
	} {
		m := schema.Mute{Hosts: []string{"web*"}, Comment: "deployment", Created: noon, Expires: RoundExpiry(noon.Time, time.Hour)}
		c.change(&m)
		if err := Check(&m); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
