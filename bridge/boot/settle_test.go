package boot

import "testing"

var (
	old   = ID{1}
	place = Place{Server: "supervisor", Pool: "supernats", Serial: 500, PoolSerial: 400}
)

// full is what an ordinary Linux shows.
func full() Evidence {
	return Evidence{BootID: "b", PID: 10, Ticks: 1000, Inode: 77, Lasting: true, Certain: true, By: "by its name"}
}

func with(e Evidence, change func(*Evidence)) Evidence {
	change(&e)
	return e
}

func at(serial, poolSerial uint64) *Place {
	p := place
	p.Serial, p.PoolSerial = serial, poolSerial
	return &p
}

func TestSettle(t *testing.T) {
	none := Evidence{random: ID{9}}
	hidden := Evidence{BootID: "b", PID: 10, Lasting: true} // hidepid=2 before Linux 6.9
	restarted := with(full(), func(e *Evidence) { e.PID, e.Ticks, e.Inode = 20, 9000, 99 })
	wrapped := with(restarted, func(e *Evidence) { e.Certain, e.By = false, "as what started us" })
	rebooted := with(restarted, func(e *Evidence) { e.BootID = "c" })
	full, want := full(), func(e Evidence) ID { id, _ := e.ID(); return id }

	for name, c := range map[string]struct {
		before *Evidence // kept with the boot old
		now    Evidence
		last   *Place
		first  *Place
		want   ID
	}{
		// Another life.
		"restarted":                         {&full, restarted, &place, at(3, 0), want(restarted)},
		"restarted, its first events lost":  {&full, restarted, &place, at(600, 450), want(restarted)},
		"restarted, the past without place": {&full, restarted, nil, at(3, 0), want(restarted)},
		"restarted, before an event":        {&full, restarted, &place, nil, want(restarted)},
		"rebooted":                          {&full, rebooted, &place, at(3, 0), want(rebooted)},
		"rebooted, serials higher":          {&full, rebooted, at(2, 2), at(3, 0), want(rebooted)},
		"all else equal":                    {&full, full, &place, at(3, 0), hash("after %x", old)},
		"all else equal, the Go port":       {&full, full, &place, at(1, 1), hash("after %x", old)},
		"nothing known":                     {&none, none, &place, at(3, 0), hash("after %x", old)},
		"nothing known, nothing kept":       {nil, none, &place, at(3, 0), none.random},
		"nothing known, first events lost":  {nil, none, &place, at(100, 95), none.random},
		"hidden, the same number":           {&hidden, hidden, &place, at(3, 0), hash("after %x", old)},
		"hidden, another identifier":        {&hidden, hidden, &place, &Place{"other", "supernats", 700, 500}, want(hidden)},
		"restarted behind a wrapper":        {&wrapped, with(wrapped, func(e *Evidence) { e.Inode, e.Ticks = 5, 6 }), &place, at(3, 0), hash("%s pidfs %d", "b", 5)},

		// The same life.
		"the next event":              {&full, full, &place, at(503, 401), old},
		"the next event, not yet":     {&full, full, &place, nil, old},
		"offered again":               {&full, full, &place, &place, old},
		"the first one offered again": {&full, full, at(3, 0), at(3, 0), old},
		"refused by another listener": {&full, full, &place, at(300, 200), old},
		"reloaded":                    {&full, full, &place, at(520, 0), old},
		"a section of another name":   {&full, full, &place, &Place{"supervisor", "events", 520, 0}, old},
		"another identifier":          {&full, full, &place, &Place{"other", "supernats", 520, 0}, old},
		"hidden later":                {&full, hidden, &place, at(503, 401), old},
		"hidden later, events lost":   {&full, hidden, &place, at(603, 451), old},
		"hidden no more":              {&hidden, full, &place, at(503, 401), old},
		"nothing known then":          {&none, none, &place, at(503, 401), old},
		"nothing known, reloaded":     {&none, none, &place, at(503, 0), old},
		"nothing known or kept":       {nil, none, &place, at(503, 401), old},
		"another wrapper":             {&wrapped, with(wrapped, func(e *Evidence) { e.PID, e.Inode = 30, 500 }), &place, at(503, 401), old},
		"another wrapper, added anew": {&wrapped, with(wrapped, func(e *Evidence) { e.PID, e.Inode = 30, 500 }), &place, at(503, 0), old},
		"a wrapper added":             {&full, wrapped, &place, at(503, 0), old},
		"found otherwise":             {&full, restarted, &place, at(503, 401), old}, // evidence errs, serials do not
	} {
		t.Run(name, func(t *testing.T) {
			v := Settle(Past{Known: true, ID: old, Last: c.last, Evidence: c.before}, c.now, c.first)
			if v.ID != c.want || v.Same != (v.ID == old) {
				t.Errorf("boot %x, same %v (%s), want %x", v.ID, v.Same, v.Why, c.want)
			}
		})
	}

	if v := Settle(Past{}, full, at(3, 0)); v.ID != want(full) || v.Same || v.Random {
		t.Errorf("no past: %+v", v)
	}
	if v := Settle(Past{}, none, nil); v.ID != none.random || !v.Random {
		t.Errorf("no past and nothing known: %+v", v)
	}
	damaged := Past{Known: true, ID: old, Last: &place, Damaged: true, Evidence: &full}
	if v := Settle(damaged, restarted, at(501, 401)); v.ID != want(restarted) {
		t.Errorf("after damage no event is the next one: %+v", v)
	}
}

// Without the evidence of the run before, serials decide, also where a boot is that of a
// wrapper which was taken for supervisord.
func TestNoPastEvidence(t *testing.T) {
	e := full()
	derived := must(t, e)
	for name, first := range map[string]*Place{"stopped": at(501, 401), "added again": at(501, 0), "no event": nil} {
		if v := Settle(Past{Known: true, ID: derived, Last: &place}, e, first); v.ID != derived {
			t.Errorf("%s: boot %x (%s), want %x", name, v.ID, v.Why, derived)
		}
	}
	if v := Settle(Past{Known: true, ID: derived, Last: &place}, e, at(2, 0)); v.ID == derived {
		t.Error("serials that begin again are of another life")
	}

	for _, first := range []*Place{at(501, 401), at(501, 0)} {
		if v := Settle(Past{Known: true, ID: old, Last: &place}, e, first); v.ID != old {
			t.Errorf("boot %x (%s), want %x", v.ID, v.Why, old)
		}
	}
}

// What each kind of machine has for a boot, and that listeners agree.
func TestEvidenceID(t *testing.T) {
	full := full()
	unprivileged := with(full, func(e *Evidence) { e.Ticks, e.Certain, e.By = 0, false, "as what started us" })
	if a, _ := full.ID(); a != must(t, unprivileged) {
		t.Error("a listener to which procfs hides the start has another boot")
	}
	old := with(full, func(e *Evidence) { e.Inode = 0 })
	if must(t, old) != hash("b 10 1000") {
		t.Error("without pidfs the boot is not that of its start in ticks")
	}
	noBootID := with(full, func(e *Evidence) { e.BootID, e.BootTime = "", 17_000_000_000 })
	later := with(noBootID, func(e *Evidence) { e.BootTime += 20 })
	if must(t, noBootID) == must(t, later) {
		t.Error("a container that is started two seconds later has the same boot")
	}
	for name, e := range map[string]Evidence{
		"nothing":                  {random: ID{5}},
		"a number in a container":  {BootID: "b", PID: 1, random: ID{5}},
		"a number alone":           {PID: 4711, Lasting: true, BootTime: 1, random: ID{5}},
		"a start without a clock":  {PID: 10, Ticks: 3, random: ID{5}},
		"an inode without a clock": {PID: 10, Inode: 3, random: ID{5}},
	} {
		if id, derived := e.ID(); derived || id != (ID{5}) {
			t.Errorf("%s: boot %x, derived %v", name, id, derived)
		}
	}
}

func must(t *testing.T, e Evidence) ID {
	t.Helper()
	id, derived := e.ID()
	if !derived {
		t.Errorf("%+v stands for no boot", e)
	}
	return id
}
