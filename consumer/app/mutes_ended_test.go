package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema"
)

// deletion is the end of a silence.
type deletion struct {
	jetstream.KeyValueEntry
	id string
}

func (d deletion) Key() string                   { return d.id }
func (deletion) Revision() uint64                { return 1 }
func (deletion) Operation() jetstream.KeyValueOp { return jetstream.KeyValueDelete }

// That not all silences that have ended are remembered is said, once.
func TestMoreEndedSilencesThanAreKept(t *testing.T) {
	var log buffer
	m := &mutes{log: zerolog.New(&log), byID: map[string]schema.Mute{}, ended: map[string]bool{}}
	for i := range maxEnded {
		m.take(deletion{id: fmt.Sprint(i)})
	}
	m.take(deletion{id: "0"}) // is remembered already
	if text := log.String(); text != "" {
		t.Errorf("it says %s", text)
	}
	for i := range 3 {
		m.take(deletion{id: fmt.Sprint("more", i)})
	}
	if n := strings.Count(log.String(), "more silences have ended than are remembered"); n != 1 || len(m.ended) != maxEnded {
		t.Errorf("it says so %d times, and remembers %d", n, len(m.ended))
	}
}
