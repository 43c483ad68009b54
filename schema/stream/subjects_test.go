package stream

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMissingSubjects(t *testing.T) {
	want := EventsConfig(Limits{}, 0).Subjects
	for _, c := range []struct {
		name                  string
		have, missing, merged []string
	}{
		{name: "all", have: want, merged: want},
		{name: "wider ones", have: []string{"supervisor.>"}, merged: []string{"supervisor.>"}},
		{name: "everything", have: []string{">"}, merged: []string{">"}},
		{
			name: "a narrower one of another's goes into ours", have: []string{AllEvents, "supervisor.snapshot.web1", "orders.*", AllBridges, AllAcks},
			missing: []string{AllSnapshots}, merged: []string{AllEvents, "orders.*", AllBridges, AllAcks, AllSnapshots},
		},
		{
			name: "> stands for * too", have: []string{AllEvents, "supervisor.snapshot.>", AllBridges},
			missing: []string{AllAcks}, merged: []string{AllEvents, "supervisor.snapshot.>", AllBridges, AllAcks},
		},
		{
			name: "* does not stand for >", have: []string{"supervisor.*", "supervisor.event.*", "supervisor.*.>"},
			merged: []string{"supervisor.*", "supervisor.event.*", "supervisor.*.>"},
		},
		{
			name: "as many tokens", have: []string{"supervisor.*.*"}, missing: []string{AllEvents, AllBridges, AllAcks},
			merged: []string{"supervisor.*.*", AllEvents, AllBridges, AllAcks},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			missing := MissingSubjects(want, c.have)
			if diff := cmp.Diff(c.missing, missing); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(c.merged, MergeSubjects(c.have, missing)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
