package bridge

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rs/zerolog"

	"supernats/bridge/boot"
	"supernats/bridge/record"
	"supernats/schema"
)

// aRun starts a bridge on what an earlier one has left, with evidence instead of what
// this machine has, and hands it events: pairs of serial and poolserial.
func aRun(t *testing.T, dir string, e boot.Evidence, events ...[2]uint64) (b *Bridge, id string) {
	t.Helper()
	return aRunOf(t, Config{SpoolDir: dir}, e, events...)
}

// aRunOf is aRun with settings of its own, beside those of goodConfig.
func aRunOf(t *testing.T, own Config, e boot.Evidence, events ...[2]uint64) (b *Bridge, id string) {
	t.Helper()
	cfg := goodConfig()
	cfg.SpoolDir, cfg.StartedTogether = own.SpoolDir, own.StartedTogether
	cfg.SpoolSync.every = -1
	b, err := New(cfg, [record.BootSize]byte{}, "test", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	*b.life.Evidence() = e
	if err := b.openSpool(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range events {
		header := fmt.Sprintf("ver:3.0 server:s serial:%d pool:supernats poolserial:%d eventname:TICK_5 len:6", n[0],
			n[1])
		if err := b.accept(t.Context(), []byte(header), []byte("when:1")); err != nil {
			t.Fatal(err)
		}
	}
	return b, b.life.String()
}

// lostIn ends a run, and returns what its spool reports as lost.
func lostIn(t *testing.T, b *Bridge) (count uint64) {
	t.Helper()
	read := 0
	for ; ; read++ {
		rec, ok, _ := b.journal.Spool().Next()
		if !ok {
			break
		}
		if v, _ := record.Parse(rec); !v.IsMessage() {
			continue
		}
		payloads, err := record.Payloads("web1", rec)
		if err != nil {
			t.Fatal(err)
		}
		if ce, err := schema.Unmarshal[*schema.Loss](payloads[0]); err == nil && ce.Type == "supernats.bridge.loss" {
			count += ce.Data.Count
		}
	}
	if err := b.journal.Spool().Ack(read, 0); err != nil {
		t.Fatal(err)
	}
	if err := b.journal.Spool().Close(); err != nil {
		t.Fatal(err)
	}
	return count
}

// Without any evidence the serials alone distinguish one life from another, over kills of the
// bridge and restarts of supervisord, and nothing is reported as lost that is not.
func TestLifeBySerialsAlone(t *testing.T) {
	dir := t.TempDir()
	var boots []string
	for _, run := range []struct {
		name   string
		events [][2]uint64
		life   int
		lost   uint64
	}{
		{name: "the first one", events: [][2]uint64{{2, 0}, {3, 1}, {5, 2}}, life: 0, lost: 0},
		{name: "killed", events: [][2]uint64{{6, 3}, {7, 4}}, life: 0, lost: 0},
		{name: "killed before its answer", events: [][2]uint64{{7, 4}, {9, 5}}, life: 0, lost: 0},
		{name: "its section added again", events: [][2]uint64{{20, 0}, {21, 1}}, life: 0, lost: 0},
		{name: "reloaded", events: [][2]uint64{{90, 0}, {91, 1}}, life: 0, lost: 0},
		{name: "events lost", events: [][2]uint64{{100, 5}}, life: 0, lost: 3},
		{name: "another supervisord", events: [][2]uint64{{2, 0}, {3, 1}}, life: 1, lost: 0},
		{name: "killed again", events: [][2]uint64{{4, 2}}, life: 1, lost: 0},
		{name: "a third one", events: [][2]uint64{{2, 0}}, life: 2, lost: 0},
	} {
		b, id := aRun(t, dir, boot.Evidence{}, run.events...)
		if run.life == len(boots) {
			if slices.Contains(boots, id) {
				t.Errorf("%s: the boot %s is that of another life", run.name, id)
			}
			boots = append(boots, id)
		}
		if id != boots[run.life] {
			t.Errorf("%s: boot %s, want %s", run.name, id, boots[run.life])
		}
		if err := b.journal.StoreLosses(); err != nil {
			t.Fatal(err)
		}
		if lost := lostIn(t, b); lost != run.lost {
			t.Errorf("%s: %d events are lost, want %d", run.name, lost, run.lost)
		}
	}
}

// A container whose first process has the number and the start of the one before, on
// a machine whose boot id stays: no event of the next life is taken for one of the
// last.
func TestLifeThatLooksTheSame(t *testing.T) {
	dir := t.TempDir()
	e := boot.Evidence{BootID: "same", PID: 1, Ticks: 20, Certain: true}
	b, first := aRun(t, dir, e, [2]uint64{2, 0}, [2]uint64{3, 1})
	lostIn(t, b)
	b, again := aRun(t, dir, e, [2]uint64{4, 2})
	lostIn(t, b)
	b, next := aRun(t, dir, e, [2]uint64{2, 0}, [2]uint64{3, 1})
	lostIn(t, b)
	b, kept := aRun(t, dir, e, [2]uint64{4, 2})
	lostIn(t, b)
	if again != first || next == first || kept != next {
		t.Errorf("boots are %s, %s, then %s, %s", first, again, next, kept)
	}
}

// While the spool is locked by a predecessor that has not ended yet, its boot is found
// beside it, and what it has is not taken for lost.
func TestLifeOfAPredecessor(t *testing.T) {
	dir := t.TempDir()
	e := boot.Evidence{BootID: "b", PID: 1, Ticks: 20, Certain: true}
	t.Setenv("SUPERVISOR_GROUP_NAME", "supernats")
	before, first := aRun(t, dir, e, [2]uint64{2, 0}, [2]uint64{3, 1})
	defer lostIn(t, before)

	b, id := aRunOf(t, Config{SpoolDir: dir, StartedTogether: true}, e)
	header := "ver:3.0 server:s serial:40 pool:supernats poolserial:30 eventname:TICK_5 len:6"
	if err := b.accept(t.Context(), []byte(header), []byte("when:1")); err != nil {
		t.Fatal(err)
	}
	if err := b.journal.StoreLosses(); err != nil {
		t.Fatal(err)
	}
	if lost := lostIn(t, b); lost != 0 || id != first {
		t.Errorf("boot %s, want %s; %d events are lost, want none", id, first, lost)
	}
}

// A run that could not have the spool had its events in another one: the next run that
// has it does not take them for lost.
func TestLifeBesideAPredecessor(t *testing.T) {
	dir := t.TempDir()
	e := boot.Evidence{BootID: "b", PID: 1, Ticks: 20, Certain: true}
	t.Setenv("SUPERVISOR_GROUP_NAME", "supernats")
	before, first := aRun(t, dir, e, [2]uint64{2, 0}, [2]uint64{3, 1})
	b, _ := aRun(t, dir, e, [2]uint64{4, 2}, [2]uint64{5, 3})
	lostIn(t, before)
	lostIn(t, b)

	b, id := aRun(t, dir, e, [2]uint64{6, 4}, [2]uint64{7, 5})
	if err := b.journal.StoreLosses(); err != nil {
		t.Fatal(err)
	}
	if lost := lostIn(t, b); lost != 0 || id != first {
		t.Errorf("boot %s, want %s; %d events are lost, want none", id, first, lost)
	}
	b, _ = aRun(t, dir, e, [2]uint64{10, 8})
	if err := b.journal.StoreLosses(); err != nil {
		t.Fatal(err)
	}
	if lost := lostIn(t, b); lost != 2 {
		t.Errorf("%d events are lost, want 2", lost)
	}
}
