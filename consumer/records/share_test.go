package records

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

// Of each host only so many alerts are kept; those that have closed go first.
func TestShareOfAlerts(t *testing.T) {
	s := &Share[schema.Alert]{
		HostOf:  func(key string) string { return strings.Split(key, ".")[1] },
		PerHost: 3, All: 100,
		IsSpare: func(a *schema.Alert) bool { return a.Phase == schema.PhaseResolved },
	}
	kept := map[string]bool{}
	add := func(host, process, phase string) {
		key := schema.AlertKey("fatal", host, "api", process)
		if instead, ok := s.admit(key, &schema.Alert{Phase: phase}); ok {
			kept[key] = true
			delete(kept, instead)
		}
	}
	add("web1", "a", schema.PhaseResolved)
	add("web1", "b", schema.PhaseFiring)
	add("web1", "c", schema.PhaseResolved)
	add("web1", "d", schema.PhaseFiring)
	add("web1", "e", schema.PhaseFiring)
	add("web1", "f", schema.PhaseFiring)
	add("web1", "g", schema.PhaseResolved)
	add("db1", "a", schema.PhaseResolved)
	want := map[string]bool{"fatal.web1.api.b": true, "fatal.web1.api.d": true, "fatal.web1.api.e": true, "fatal.db1.api.a": true}
	if d := cmp.Diff(want, kept); d != "" || s.Skipped("web1") != 4 || s.Skipped("db1") != 0 {
		t.Error(d, s.skipped)
	}
}
