package app

import (
	"testing"

	"github.com/rs/zerolog"

	"supernats/schema/stream"
)

// While silences are read again the old reading goes on: each has its own memory of those
// that are over.
func TestSilencesAreReadAgainBesideTheOldReading(t *testing.T) {
	f := newFleet(t)
	kv, err := f.js.KeyValue(t.Context(), stream.MutesBucket)
	if err != nil {
		t.Fatal(err)
	}
	end := func(id string) {
		t.Helper()
		if err := kv.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	hasEnded := func(m *mutes, id string) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.ended[id]
	}
	before, err := watchMutes(t.Context(), f.js, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer before.stop()
	end("first")
	f.until("the end of the first is seen", func() bool { return hasEnded(before, "first") })

	after, err := watchMutes(t.Context(), f.js, before, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	after.stop()
	end("second")
	f.until("the end of the second is seen", func() bool { return hasEnded(before, "second") })
	if !hasEnded(after, "first") || hasEnded(after, "second") {
		t.Errorf("the new reading knows %v", after.ended)
	}
}
