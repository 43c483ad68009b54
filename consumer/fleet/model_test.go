package fleet

import (
	"slices"
	"testing"
	"time"

	"supernats/schema"
)

// Hosts that come and go, each with a name of its own, leave nothing behind.
func TestHostsThatAreGoneTakeNoMemory(t *testing.T) {
	f := newFixture()
	f.put(host("web1", noon), process("web1", "api", "api_00", schema.StateRunning))
	f.snapshot(noon)
	hosts, names := len(f.hosts), len(f.interned)

	other, itsProcess := host("web2-5f8c", noon), process("web2-5f8c", "api", "api_00", schema.StateRunning)
	f.put(other, itsProcess)
	f.snapshot(noon)
	f.removeHost(other)
	f.removeProcess(itsProcess)
	f.snapshot(noon)
	if len(f.hosts) != hosts || len(f.interned) != names {
		t.Errorf("%d hosts and %d names, want %d and %d", len(f.hosts), len(f.interned), hosts, names)
	}
}

// A snapshot shares with the one before all that has not changed.
func TestASnapshotSharesWhatHasNotChanged(t *testing.T) {
	f := newFixture()
	f.put(
		host("web1", noon), process("web1", "api", "api_00", schema.StateRunning),
		process("web1", "api", "api_01", schema.StateRunning),
		host("web2", noon), process("web2", "api", "api_00", schema.StateRunning),
	)
	first := f.snapshot(noon)
	if again := f.snapshot(noon); again != first {
		t.Error("a new snapshot although nothing has changed")
	}

	f.put(process("web1", "api", "api_01", schema.StateFatal))
	second := f.snapshot(noon)
	switch {
	case second.Version <= first.Version:
		t.Errorf("version %d after %d", second.Version, first.Version)
	case second.Host("web2") != first.Host("web2"):
		t.Error("another web2 although nothing has changed there")
	case second.Host("web1") == first.Host("web1"):
		t.Error("the same web1 although a process has changed")
	case second.Host("web1").Process("api", "api_00") != first.Host("web1").Process("api", "api_00"):
		t.Error("another api_00 although it has not changed")
	}
	if h := second.Host("web1"); h.Fatal != 1 || h.Level != Critical || first.Host("web1").Fatal != 0 {
		t.Errorf("web1 with a FATAL process: %d FATAL, level %d; before: %d", h.Fatal, h.Level, first.Host("web1").Fatal)
	}
}

// A host falls silent by time alone, and is heard again by a record.
func TestAHostFallsSilentWithoutARecord(t *testing.T) {
	f := newFixture()
	f.put(host("web1", noon), process("web1", "api", "api_00", schema.StateRunning))
	if h := f.snapshot(noon).Host("web1"); h.UnknownSince != nil || h.Processes[0].UnknownSince != nil {
		t.Fatalf("silent at once: %+v", h)
	}

	late := noon.Add(schema.SilentAfter + time.Second)
	s := f.snapshot(late)
	h := s.Host("web1")
	if h.UnknownSince == nil || h.Processes[0].UnknownSince == nil || h.Unknown != 1 || h.Level != Warning {
		t.Errorf("after %s: %+v", schema.SilentAfter, h)
	}
	if s.Totals.SilentHosts != 1 || s.Totals.Unknown != 1 || s.Totals.Running != 0 {
		t.Errorf("%+v", s.Totals)
	}

	f.put(host("web1", late))
	if h := f.snapshot(late).Host("web1"); h.UnknownSince != nil || h.Processes[0].UnknownSince != nil || h.Level != Well {
		t.Errorf("heard again: %+v", h)
	}
}

// A silence covers an alert, which is not critical meanwhile, and ends by itself.
func TestASilenceEndsByTime(t *testing.T) {
	f := newFixture()
	f.put(host("web1", noon), alert("unexpected-exit", "critical", "web1"))
	if h := f.snapshot(noon).Host("web1"); h.Level != Critical || len(h.Open) != 1 {
		t.Fatalf("level %d with %d open", h.Level, len(h.Open))
	}

	f.put(&schema.Mute{ID: "m1", Hosts: []string{"web*"}, Expires: schema.Time{Time: noon.Add(time.Hour)}})
	s := f.snapshot(noon)
	if s.Alerts[0].Mute != "m1" || s.Host("web1").Level != Info || len(s.Mutes) != 1 {
		t.Errorf("while silenced: %+v, level %d", s.Alerts[0], s.Host("web1").Level)
	}

	f.put(host("web1", noon.Add(time.Hour))) // or it would be silent
	s = f.snapshot(noon.Add(time.Hour))
	if s.Alerts[0].Mute != "" || s.Host("web1").Level != Critical || len(s.Mutes) != 0 {
		t.Errorf("after the silence: %+v, level %d", s.Alerts[0], s.Host("web1").Level)
	}
}

// What somebody takes care of is not critical meanwhile, and stands below what nobody does.
func TestAnAcknowledgedAlertIsNoLongerUrgent(t *testing.T) {
	f := newFixture()
	taken := alert("taken", "critical", "web1")
	taken.Acknowledged = &schema.Acknowledgement{By: "ann"}
	f.put(host("web1", noon), taken)
	if h := f.snapshot(noon).Host("web1"); h.Level != Info {
		t.Errorf("level %d", h.Level)
	}

	f.put(alert("minor", "warning", "web1"))
	s := f.snapshot(noon)
	if s.Alerts[0].Rule != "minor" || s.Host("web1").Level != Warning {
		t.Errorf("first is %s, level %d", s.Alerts[0].Rule, s.Host("web1").Level)
	}
	page, err := s.ListAlerts(&AlertQuery{Limit: 1})
	if err != nil || page.Next == "" {
		t.Fatal(page, err)
	}
	page, err = s.ListAlerts(&AlertQuery{Limit: 1, Token: page.Next})
	if err != nil || len(page.Items) != 1 || page.Items[0].Rule != "taken" || page.Next != "" {
		t.Errorf("%+v, %v", page, err)
	}
	all := &AlertQuery{}
	all.Token = alertToken(s.Alerts[1], all.mark())
	if page, err := s.ListAlerts(all); err != nil || len(page.Items) != 0 {
		t.Errorf("after the last one: %+v, %v", page, err)
	}
}

// The open alerts come first, the worst of them before the others, then the youngest.
func TestAlertsAreRanked(t *testing.T) {
	f := newFixture()
	old := alert("old", "critical", "web1")
	old.Opened = schema.Time{Time: noon.Add(-time.Hour)}
	over := alert("over", "critical", "web1")
	over.Phase = schema.PhaseResolved
	pending := alert("pending", "critical", "web1")
	pending.Phase = schema.PhasePending
	f.put(over, pending, alert("note", "info", "web1"), alert("odd", "odd", "web1"), old, alert("new", "critical", "web1"))

	s := f.snapshot(noon)
	for i, rule := range []string{"new", "old", "odd", "note", "pending", "over"} {
		if s.Alerts[i].Rule != rule {
			t.Errorf("%d: %s, want %s", i, s.Alerts[i].Rule, rule)
		}
	}
	if s.Totals.Open != 4 {
		t.Errorf("%d open, want 4", s.Totals.Open)
	}
}

// What a host is made of may come and go in any order.
func TestAHostWithoutARecord(t *testing.T) {
	f := newFixture()
	p := process("web1", "api", "api_00", schema.StateRunning)
	f.put(p)
	if h := f.snapshot(noon).Host("web1"); h == nil || len(h.Processes) != 1 {
		t.Fatalf("%+v", h)
	}
	f.mu.Lock()
	f.removeProcess(p)
	f.mu.Unlock()
	if s := f.snapshot(noon); s.Host("web1") != nil || len(s.Hosts) != 0 || len(f.hosts) != 0 {
		t.Errorf("%d hosts after the last process is gone", len(s.Hosts))
	}
}

// A process appears when its record was begun or, if it comes later to a copy that is
// following, when it comes. It does not appear again by what happens to it, or by a bucket
// that was lost and filled again.
func TestWhenAProcessAppears(t *testing.T) {
	f := newFixture()
	record := func(name string, begun time.Time) *schema.ProcessRecord {
		p := process("web1", "api", name, schema.StateRunning)
		p.Recorded = schema.Time{Time: begun}
		return p
	}
	at := func(after time.Duration) func(names ...string) []time.Duration {
		s := f.snapshot(noon.Add(after))
		return func(names ...string) (list []time.Duration) {
			for _, name := range names {
				list = append(list, s.Host("web1").Process("api", name).Appeared.Sub(noon))
			}
			return list
		}
	}
	check := func(what string, got []time.Duration, want ...time.Duration) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}

	f.put(host("web1", noon), record("a", noon.Add(-time.Second)), record("b", noon.Add(-48*time.Hour)))
	check("while the buckets are read", at(0)("a", "b"), -time.Second, -48*time.Hour)
	f.setStatus(Status{Loaded: true, Live: true})
	at(time.Second)
	f.put(record("c", noon.Add(time.Second)), record("d", noon.Add(-30*time.Minute)), record("e", noon.Add(-48*time.Hour)))
	check("while it follows", at(2*time.Second)("c", "d", "e"), 2*time.Second, 2*time.Second, -48*time.Hour)
	f.put(record("a", noon.Add(-time.Second)), record("c", noon.Add(time.Second)), record("d", noon.Add(-30*time.Minute)))
	check("something happens to them", at(3*time.Second)("a", "c", "d"), -time.Second, 2*time.Second, 2*time.Second)

	f.removeProcess(record("c", noon))
	at(4 * time.Second)
	f.put(record("c", noon.Add(5*time.Second)))
	check("it is forgotten, and back", at(5*time.Second)("c"), 5*time.Second)
}
