package journal_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/alerts/journal"
	"supernats/consumer/rules"
	"supernats/schema"
)

// alert is one about a host.
type alert struct {
	rule *rules.Rule
	host string
	rec  schema.Alert
	note journal.Note
}

func (a *alert) Key() rules.Key               { return rules.Key{Rule: a.rule.Index, Host: a.host} }
func (a *alert) Rule() *rules.Rule            { return a.rule }
func (a *alert) Record() *schema.Alert        { return &a.rec }
func (a *alert) Write(_ uint64) *schema.Alert { return &schema.Alert{Host: a.host} }
func (a *alert) Note() *journal.Note          { return &a.note }
func nowhere(rules.Key) bool                  { return false }
func keysOf(list []journal.Change) (k []string) {
	for _, c := range list {
		key := c.Key
		if c.Record == nil {
			key = "delete " + key
		}
		k = append(k, key)
	}
	return k
}

// Records of rules that are inhibited are stored before those of the rules that inhibit them,
// whatever changed first; a record is deleted unless there is an alert of its name again.
func TestTake(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	inhibits, inhibited := &rules.Rule{Name: "silent"}, &rules.Rule{Name: "exit", Index: 1, Rank: 1}
	a, b, c := &alert{rule: inhibits, host: "a"}, &alert{rule: inhibited, host: "b"}, &alert{rule: inhibited, host: "a"}
	var j journal.Journal[*alert]
	j.Read(7, at)
	for _, x := range []*alert{a, b, c, a} {
		j.MarkChanged(x, at)
	}
	if a.rec.Seq != 7 || !a.rec.Clock.Equal(at) || !j.IsDirty() {
		t.Errorf("the record has seen %d up to %v", a.rec.Seq, a.rec.Clock)
	}
	want := []string{"exit.a.-.-", "exit.b.-.-", "silent.a.-.-"}
	if d := cmp.Diff(want, keysOf(j.Take(nowhere))); d != "" || j.IsDirty() {
		t.Errorf("-want +got:\n%s", d)
	}

	j.MarkChanged(b, at) // forgotten all the same
	j.Remove(b)
	j.Remove(c)
	j.RemoveOrphan("old.x.-.-")
	isThere := func(k rules.Key) bool { return k == c.Key() }
	if d := cmp.Diff([]string{"delete exit.b.-.-", "delete old.x.-.-"}, keysOf(j.Take(isThere))); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if !b.note.IsForgotten() || a.note.IsForgotten() {
		t.Error("the wrong one is forgotten")
	}
}

// A closed alert waits until its end is stored, and what it has seen is read for good.
func TestAwaitStored(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	a := &alert{rule: &rules.Rule{Name: "exit"}, host: "a"}
	var j journal.Journal[*alert]
	j.Read(7, at)
	j.MarkChanged(a, at)
	if j.IsDone(a) {
		t.Error("it is not stored yet")
	}
	j.AwaitStored(a)
	if all := j.Done(); len(all) != 0 || !a.note.IsLeaving() {
		t.Errorf("%v waits no longer", all)
	}
	j.Take(nowhere)
	if all := j.Done(); len(all) != 1 || a.note.IsLeaving() || !j.IsDone(a) {
		t.Errorf("%v are stored", all)
	}

	j.AwaitStored(a)
	a.note.Stay()
	if all := j.Done(); len(all) != 0 {
		t.Errorf("%v are to stay", all)
	}
}
