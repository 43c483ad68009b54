package publish

import (
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"supernats/bridge/publish/ids"
	"supernats/bridge/publish/refusal"
)

var (
	// ErrTooLarge is an error of Record.Messages: none can be as small as they have to be.
	ErrTooLarge = errors.New("too large to be published")
	// ErrPartly is an error of Record.Messages: something had to be left out. What is left
	// is sent.
	ErrPartly = errors.New("not published as a whole")
)

// AgainRoom is how much longer a message id may become, in bytes.
const AgainRoom = ids.Room

// Causes of troubles. With those after CauseRefuses nearly everything is still stored.
const (
	CauseRights   = refusal.CauseRights
	CauseRefuses  = refusal.CauseRefuses
	CauseTTL      = refusal.CauseTTL
	CauseTooLarge = refusal.CauseTooLarge
	// CauseLook: the server does not let us check what the stream already holds of ours.
	CauseLook = "nats-look"
	// CauseTaken: somebody else used message ids of ours.
	CauseTaken = "id-taken"
	// CauseConflict: another supervisord publishes under our host's name, and has
	// processes of the same names.
	CauseConflict = "process-conflict"
)

// trouble logs an error that repeats once for each kind, and its end once.
type trouble struct {
	log   zerolog.Logger
	kinds map[string]int // how often each kind came since a record was last stored; nil if none did
	raise func(cause, text, fix string)
	clear func(cause string)
}

// errNotConnected stands for the library's "outbound buffer limit exceeded", which hides
// that there is no connection.
var errNotConnected = errors.New("NATS is not connected")

// kindNotConnected is that of errNotConnected: why there is no connection is another kind,
// which waitConnected reports.
const kindNotConnected = "not connected"

// report logs an error of a new kind, and raises the trouble that it stands for.
func (t *trouble) report(err error) {
	kind, fix := refusal.Classify(err)
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		err, kind = errNotConnected, kindNotConnected
	}
	if cause := refusal.CauseOf(kind); cause != "" {
		text := "events are not getting into JetStream: " + err.Error()
		if kind == refusal.KindTTL {
			text = "events are stored without their time to live: " + err.Error()
		}
		t.raise(cause, text, fix)
	}

	if t.kinds == nil {
		t.kinds = map[string]int{}
	}
	t.kinds[kind]++
	if t.kinds[kind] > 1 {
		return
	}
	t.log.Warn().Err(err).Str("fix", fix).Msg("events are not getting into JetStream; they wait in the spool")
}

// over logs the end of the errors, if there were any, and clears their troubles. That of the
// time to live stays: it ends when a message that has one is stored.
func (t *trouble) over() {
	if t.kinds == nil {
		return
	}

	errors := 0
	for _, n := range t.kinds {
		errors += n
	}
	t.log.Info().Int("errors", errors).Msg("events are getting into JetStream again")

	for kind := range t.kinds {
		if cause := refusal.CauseOf(kind); cause != "" && cause != CauseTTL {
			t.clear(cause)
		}
	}
	t.kinds = nil
}

func (p *Publisher) raise(cause, text, fix string) {
	if p.cfg.Raise != nil {
		p.cfg.Raise(cause, text, fix)
	}
}

func (p *Publisher) clear(cause string) {
	if p.cfg.Clear != nil {
		p.cfg.Clear(cause)
	}
}

// countDuplicates counts messages that the stream already held when we sent them for the
// first time: another listener of this supervisord publishes the same. It is logged once.
func (p *Publisher) countDuplicates(id string, n int) {
	if p.cfg.Duplicate != nil {
		for range n {
			p.cfg.Duplicate()
		}
	}

	if p.duplicates == 0 {
		p.cfg.Log.Info().Str("id", id).
			Msg("the stream already had an event that was sent for the first time: " +
				"another listener of this supervisord publishes the same events")
	}
	p.duplicates += uint64(n)
}
