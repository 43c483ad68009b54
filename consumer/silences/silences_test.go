package silences

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
	"supernats/schema"
	"supernats/schema/stream"
)

// While silences are read again the old reading continues: each has its own memory of those
// that are over.
func TestSilencesAreReadAgainBesideTheOldReading(t *testing.T) {
	f := fleettest.New(t)
	kv, err := f.JS.KeyValue(t.Context(), stream.MutesBucket)
	if err != nil {
		t.Fatal(err)
	}
	end := func(id string) {
		t.Helper()
		if err := kv.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	hasEnded := func(m *Silences, id string) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.ended[id]
	}
	before, err := Watch(t.Context(), f.JS, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer before.Stop()
	end("first")
	f.Until("the end of the first is seen", func() bool { return hasEnded(before, "first") })

	after, err := Watch(t.Context(), f.JS, before, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	after.Stop()
	end("second")
	f.Until("the end of the second is seen", func() bool { return hasEnded(before, "second") })
	if !hasEnded(after, "first") || hasEnded(after, "second") {
		t.Errorf("the new reading knows %v", after.ended)
	}
}

// deletion is the end of a silence.
type deletion struct {
	jetstream.KeyValueEntry
	id string
}

func (d deletion) Key() string                   { return d.id }
func (deletion) Revision() uint64                { return 1 }
func (deletion) Operation() jetstream.KeyValueOp { return jetstream.KeyValueDelete }

// That not all ended silences are remembered is logged once.
func TestMoreEndedSilencesThanAreKept(t *testing.T) {
	var log fleettest.Buffer
	m := &Silences{log: zerolog.New(&log), byID: map[string]schema.Mute{}, ended: map[string]bool{}}
	for i := range maxEnded {
		m.apply(deletion{id: fmt.Sprint(i)})
	}
	m.apply(deletion{id: "0"}) // is remembered already
	if text := log.String(); text != "" {
		t.Errorf("it says %s", text)
	}
	for i := range 3 {
		m.apply(deletion{id: fmt.Sprint("more", i)})
	}
	if n := strings.Count(log.String(), "more silences have ended than are remembered"); n != 1 || len(m.ended) != maxEnded {
		t.Errorf("it says so %d times, and remembers %d", n, len(m.ended))
	}
}
