package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"supernats/schema"
)

// life is what is known of one supervisord from outside of the bridge.
type life struct {
	name string // its identifier, which every event of it carries as "server"
	// texts is how many numbered texts were sent to it, at most.
	texts int
	// whole says that it was not killed: all texts arrived.
	whole bool
	// journal is what its own log says.
	journal
}

// entry is one event as the stream holds it, in the order of the stream.
type entry struct {
	id, server, boot, event string
	serial                  uint64
	text                    string // of a REMOTE_COMMUNICATION
	process, from           string // of a PROCESS_STATE
}

// told is one record of a loss.
type told struct {
	boot, cause string
	count       uint64
	events      map[string]int
}

// text is the n-th that is sent to a supervisord. Some are long, and some have
// fewer characters than bytes: supervisord counts the former.
func text(life string, n int) string {
	pad, size := "x<&", n*7919%100
	if n%5 == 0 {
		pad = "进程"
	}
	if n%199 == 0 {
		size = 5000
	}
	return fmt.Sprintf("%s %d %s", life, n, strings.Repeat(pad, size))
}

// compare returns what is wrong with a stream, given what supervisord says that it
// handed over: each event once, in order, none missing but those that were reported
// to be lost.
//
// If a bridge that dropped TICK and PROCESS_LOG on a full disk, or had them in memory,
// is killed before it could report that, the next one finds their number out, but not
// their names, unless supervisord died too. So if any of them says that it did
// (letGo), more may be missing than is reported: untold is how many. The numbers of the
// texts and the states of each process, of which each event tells the one before, show
// that nothing else is among them.
func compare(host string, lives []*life, stream []entry, losses []told, letGo bool) (problems []string, untold int) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	byName := map[string]*life{}
	for _, l := range lives {
		byName[l.name] = l
	}
	type progress struct {
		boot   string
		serial uint64
		stored map[uint64]bool
		texts  int
		states map[string]string // by process
	}
	seen := map[string]*progress{}
	boots := map[string]string{}
	for i, e := range stream {
		l := byName[e.server]
		if l == nil {
			wrong("message %d: event %d of %q, which nobody ran", i, e.serial, e.server)
			continue
		}
		p := seen[l.name]
		if p == nil {
			p = &progress{boot: e.boot, stored: map[uint64]bool{}, states: map[string]string{}}
			seen[l.name] = p
			if other, ok := boots[e.boot]; ok {
				wrong("%s and %s have the same boot %s", l.name, other, e.boot)
			}
			boots[e.boot] = l.name
		}
		if e.boot != p.boot {
			wrong("%s: event %d has boot %s, others %s", l.name, e.serial, e.boot, p.boot)
		}
		if want := schema.EventID(host, e.boot, e.serial); e.id != want {
			wrong("%s: event %d has id %q, want %q", l.name, e.serial, e.id, want)
		}
		switch {
		case p.stored[e.serial]:
			wrong("%s: event %d (%s) is stored twice, the second time after %d", l.name, e.serial, e.event, p.serial)
			continue // its text is not judged again
		case len(p.stored) > 0 && e.serial < p.serial:
			wrong("%s: event %d (%s) is stored after %d", l.name, e.serial, e.event, p.serial)
		}
		p.serial = max(p.serial, e.serial)
		p.stored[e.serial] = true
		if !l.given[e.serial] && !(!l.whole && e.serial == l.last+1) {
			// A supervisord that is killed may have written an event and not yet logged it.
			wrong("%s: event %d (%s) was never handed to the bridge", l.name, e.serial, e.event)
		}
		if state, ok := strings.CutPrefix(e.event, "PROCESS_STATE_"); ok {
			if before := p.states[e.process]; before != "" && e.from != before {
				wrong("%s: event %d says that %s was %s, the one before that it was %s", l.name, e.serial, e.process,
					e.from, before)
			}
			p.states[e.process] = state
		}
		if e.event == schema.RemoteCommunication {
			if want := text(l.name, p.texts); e.text != want {
				wrong("%s: event %d has the text %.40q, want %.40q", l.name, e.serial, e.text, want)
				_, _ = fmt.Sscanf(e.text, l.name+" %d", &p.texts) // continue from there
			}
			p.texts++
		}
	}
	lost, unnamed := map[string]uint64{}, map[string]uint64{}
	for _, t := range losses {
		if letGo && t.cause == "supervisord-buffer" {
			// To the next bridge what was dropped and not reported looks like this.
			lost[boots[t.boot]] += t.count
			continue
		}
		if t.cause != "spool-full" {
			wrong("a loss of %d is reported, cause %s", t.count, t.cause)
			continue
		}
		lost[boots[t.boot]] += t.count
		for event, n := range t.events {
			t.count -= uint64(n)
			if !schema.Is(event, "TICK") && !schema.Is(event, "PROCESS_LOG") {
				wrong("%s: %d %s were dropped", boots[t.boot], n, event)
			}
		}
		if letGo && len(t.events) == 0 {
			unnamed[boots[t.boot]] += t.count
		} else if t.count != 0 {
			wrong("%s: a record of losses does not add up", boots[t.boot])
		}
	}
	for _, l := range lives {
		p := seen[l.name]
		if p == nil {
			p = &progress{}
		}
		var missing []uint64
		for _, serial := range slices.Sorted(maps.Keys(l.accepted)) {
			if !p.stored[serial] {
				missing = append(missing, serial)
			}
		}
		extra := len(missing) - int(lost[l.name])
		switch {
		case extra > 0 && letGo:
			untold += extra
		case extra < 0 && uint64(-extra) <= unnamed[l.name]:
			// A bridge was killed when the stream had what was in its memory, and its
			// tally did not say so yet.
		case extra != 0:
			wrong("%s: %d accepted events are not stored (%v), %d are reported as lost", l.name, len(missing),
				missing[:min(10, len(missing))], lost[l.name])
		}
		if p.texts > l.texts || l.whole && p.texts != l.texts {
			wrong("%s: the last text stored is %d, sent were %d", l.name, p.texts-1, l.texts)
		}
		if l.overflowed > 0 {
			wrong("%s: supervisord dropped %d events", l.name, l.overflowed)
		}
		for _, line := range l.strange {
			wrong("%s: %s", l.name, line)
		}
	}
	return problems, untold
}

// TestCompare shows that what must be noticed is noticed.
func TestCompare(t *testing.T) {
	const host = "h"
	run := func(letGo bool, change func(*life, []entry) ([]entry, []told)) ([]string, int) {
		l := &life{
			name: "life1", texts: 5, whole: true,
			journal: journal{given: map[uint64]bool{}, accepted: map[uint64]bool{}},
		}
		var stream []entry
		for i := range 5 {
			serial := uint64(10 + 2*i)
			e := entry{
				id: schema.EventID(host, "b", serial), server: "life1", boot: "b", event: schema.RemoteCommunication,
				serial: serial, text: text("life1", i),
			}
			tick := entry{
				id: schema.EventID(host, "b", serial+1), server: "life1", boot: "b", event: "TICK_5",
				serial: serial + 1,
			}
			stream = append(stream, e, tick)
			for s := range uint64(2) {
				l.given[serial+s], l.accepted[serial+s], l.last = true, true, serial+s
			}
		}
		stream, losses := change(l, stream)
		return compare(host, []*life{l}, stream, losses, letGo)
	}
	tick := func(n uint64) []told {
		return []told{{boot: "b", cause: "spool-full", count: n, events: map[string]int{"TICK_5": int(n)}}}
	}
	for name, c := range map[string]struct {
		change func(l *life, s []entry) ([]entry, []told)
		want   []string // a part of each problem
	}{
		"a text is missing": {change: func(_ *life, s []entry) ([]entry, []told) {
			return slices.Delete(s, 4, 5), nil
		}, want: []string{
			`event 16 has the text "life1 3 `, "1 accepted events are not stored ([14]), 0 are reported as lost",
		}},
		"a tick is missing": {change: func(_ *life, s []entry) ([]entry, []told) {
			return slices.Delete(s, 3, 4), nil
		}, want: []string{
			"1 accepted events are not stored ([13]), 0 are reported as lost",
		}},
		"the last one is missing": {change: func(_ *life, s []entry) ([]entry, []told) { return s[:8], nil }, want: []string{
			"2 accepted events are not stored ([18 19])", "the last text stored is 3, sent were 5",
		}},
		"all are missing": {change: func(*life, []entry) ([]entry, []told) { return nil, nil }, want: []string{
			"10 accepted events are not stored", "the last text stored is -1, sent were 5",
		}},
		"one is doubled at once": {change: func(_ *life, s []entry) ([]entry, []told) {
			return slices.Insert(s, 5, s[4]), nil
		}, want: []string{
			"event 14 (REMOTE_COMMUNICATION) is stored twice, the second time after 14",
		}},
		"one is doubled at the end": {change: func(_ *life, s []entry) ([]entry, []told) {
			return append(s, s[0]), nil
		}, want: []string{
			"event 10 (REMOTE_COMMUNICATION) is stored twice, the second time after 19",
		}},
		"two are swapped": {change: func(_ *life, s []entry) ([]entry, []told) { s[2], s[3] = s[3], s[2]; return s, nil }, want: []string{
			"event 12 (REMOTE_COMMUNICATION) is stored after 13",
		}},
		"a text is another's": {change: func(_ *life, s []entry) ([]entry, []told) { s[2].text = s[0].text; return s, nil }, want: []string{
			`event 12 has the text "life1 0 `, `event 14 has the text "life1 2 `,
		}},
		"an id is wrong": {change: func(_ *life, s []entry) ([]entry, []told) { s[2].id = s[0].id; return s, nil }, want: []string{
			`event 12 has id "h/b/10", want "h/b/12"`,
		}},
		"another boot": {change: func(_ *life, s []entry) ([]entry, []told) {
			s[3].boot, s[3].id = "c", schema.EventID(host, "c", 13)
			return s, nil
		}, want: []string{"event 13 has boot c, others b"}},
		"an event out of nowhere": {change: func(_ *life, s []entry) ([]entry, []told) {
			return append(s, entry{
				id: schema.EventID(host, "b", 20), server: "life1", boot: "b", event: "TICK_5", serial: 20,
			}), nil
		}, want: []string{"event 20 (TICK_5) was never handed to the bridge"}},
		"a supervisord out of nowhere": {change: func(_ *life, s []entry) ([]entry, []told) { s[9].server = "life2"; return s, nil }, want: []string{
			`event 19 of "life2", which nobody ran`, "1 accepted events are not stored ([19])",
		}},
		"a tick is dropped and reported": {
			change: func(_ *life, s []entry) ([]entry, []told) { return slices.Delete(s, 3, 4), tick(1) }, want: nil,
		},
		"a tick is reported and not dropped": {
			change: func(_ *life, s []entry) ([]entry, []told) { return s, tick(1) },
			want:   []string{"0 accepted events are not stored ([]), 1 are reported as lost"},
		},
		"two are reported for one": {
			change: func(_ *life, s []entry) ([]entry, []told) { return slices.Delete(s, 3, 4), tick(2) },
			want:   []string{"1 accepted events are not stored ([13]), 2 are reported as lost"},
		},
		"a crash is dropped": {change: func(_ *life, s []entry) ([]entry, []told) {
			return slices.Delete(s, 3, 4), []told{
				{boot: "b", cause: "spool-full", count: 1, events: map[string]int{"PROCESS_STATE_EXITED": 1}},
			}
		}, want: []string{"1 PROCESS_STATE_EXITED were dropped"}},
		"the spool was damaged": {change: func(_ *life, s []entry) ([]entry, []told) {
			return s, []told{{boot: "b", cause: "spool-corrupt", count: 1}}
		}, want: []string{"a loss of 1 is reported, cause spool-corrupt"}},
		"supervisord dropped some": {change: func(l *life, s []entry) ([]entry, []told) { l.overflowed = 3; return s, nil }, want: []string{
			"supervisord dropped 3 events",
		}},
		"killed, and the end was never handed over": {change: func(l *life, s []entry) ([]entry, []told) {
			l.whole, l.texts = false, 100
			return s, nil
		}, want: nil},
		"a state is missing": {change: func(_ *life, s []entry) ([]entry, []told) {
			s[1].event, s[1].process, s[1].from = "PROCESS_STATE_RUNNING", "p", "STARTING"
			s[3].event, s[3].process, s[3].from = "PROCESS_STATE_STARTING", "p", "EXITED"
			return s, nil
		}, want: []string{"event 13 says that p was EXITED, the one before that it was RUNNING"}},
		"nothing": {change: func(_ *life, s []entry) ([]entry, []told) { return s, nil }, want: nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := run(false, c.change)
			ok := len(got) == len(c.want)
			for i := range min(len(got), len(c.want)) {
				ok = ok && strings.Contains(got[i], c.want[i])
			}
			if !ok {
				t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
	gone := func(_ *life, s []entry) ([]entry, []told) { return slices.Delete(s, 3, 4), nil }
	if got, untold := run(true, gone); len(got) > 0 || untold != 1 {
		t.Errorf("%d untold, problems %q", untold, got)
	}
	if got, _ := run(true, func(_ *life, s []entry) ([]entry, []told) { return slices.Delete(s, 4, 5), nil }); len(got) != 1 {
		t.Errorf("a text is missing: problems %q", got)
	}
}
