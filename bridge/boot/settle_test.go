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
		"restarted": {
			before: &full, now: restarted, last: &place, first: at(3, 0), want: want(restarted),
		},
		"restarted, its first events lost": {
			before: &full, now: restarted, last: &place, first: at(600, 450), want: want(restarted),
		},
		"restarted, the past without place": {before: &full, now: restarted, first: at(3, 0), want: want(restarted)},
		"restarted, before an event":        {before: &full, now: restarted, last: &place, want: want(restarted)},
		"rebooted": {
			before: &full, now: rebooted, last: &place, first: at(3, 0), want: want(rebooted),
		},
		"rebooted, serials higher": {
			before: &full, now: rebooted, last: at(2, 2), first: at(3, 0), want: want(rebooted),
		},
		"all else equal": {
			before: &full, now: full, last: &place, first: at(3, 0), want: hash("after %x", old),
		},
		"all else equal, the Go port": {
			before: &full, now: full, last: &place, first: at(1, 1), want: hash("after %x", old),
		},
		"nothing known": {
			before: &none, now: none, last: &place, first: at(3, 0), want: hash("after %x", old),
		},
		"nothing known, nothing kept":      {now: none, last: &place, first: at(3, 0), want: none.random},
		"nothing known, first events lost": {now: none, last: &place, first: at(100, 95), want: none.random},
		"hidden, the same number": {
			before: &hidden, now: hidden, last: &place, first: at(3, 0), want: hash("after %x", old),
		},
		"hidden, another identifier": {
			before: &hidden, now: hidden, last: &place, first: &Place{"other", "supernats", 700, 500},
			want: want(hidden),
		},
		"restarted behind a wrapper": {
			before: &wrapped, now: with(wrapped, func(e *Evidence) { e.Inode, e.Ticks = 5, 6 }), last: &place,
			first: at(3, 0), want: hash("%s pidfs %d", "b", 5),
		},

		// The same life.
		"the next event":              {before: &full, now: full, last: &place, first: at(503, 401), want: old},
		"the next event, not yet":     {before: &full, now: full, last: &place, want: old},
		"offered again":               {before: &full, now: full, last: &place, first: &place, want: old},
		"the first one offered again": {before: &full, now: full, last: at(3, 0), first: at(3, 0), want: old},
		"refused by another listener": {before: &full, now: full, last: &place, first: at(300, 200), want: old},
		"reloaded":                    {before: &full, now: full, last: &place, first: at(520, 0), want: old},
		"a section of another name": {
			before: &full, now: full, last: &place, first: &Place{"supervisor", "events", 520, 0}, want: old,
		},
		"another identifier": {
			before: &full, now: full, last: &place, first: &Place{"other", "supernats", 520, 0}, want: old,
		},
		"hidden later":              {before: &full, now: hidden, last: &place, first: at(503, 401), want: old},
		"hidden later, events lost": {before: &full, now: hidden, last: &place, first: at(603, 451), want: old},
		"hidden no more":            {before: &hidden, now: full, last: &place, first: at(503, 401), want: old},
		"nothing known then":        {before: &none, now: none, last: &place, first: at(503, 401), want: old},
		"nothing known, reloaded":   {before: &none, now: none, last: &place, first: at(503, 0), want: old},
		"nothing known or kept":     {now: none, last: &place, first: at(503, 401), want: old},
		"another wrapper": {
			before: &wrapped, now: with(wrapped, func(e *Evidence) { e.PID, e.Inode = 30, 500 }), last: &place,
			first: at(503, 401), want: old,
		},
		"another wrapper, added again": {
			before: &wrapped, now: with(wrapped, func(e *Evidence) { e.PID, e.Inode = 30, 500 }), last: &place,
			first: at(503, 0), want: old,
		},
		"a wrapper added": {before: &full, now: wrapped, last: &place, first: at(503, 0), want: old},
		"found otherwise": {before: &full, now: restarted, last: &place, first: at(503, 401), want: old}, // evidence errs, serials do not
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
