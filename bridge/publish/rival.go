package publish

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A rival is another supervisord whose bridge publishes under our host's name: the
// processes of the two overwrite each other's states. It is looked for when all of
// an earlier life is published, and now and then: the last message on each of our
// subjects is of our boot, or of another one that is at work too. A boot that is
// seen once may be that of a listener that publishes what it had left.
const (
	rivalFirst = 10 * time.Second
	rivalEvery = 10 * time.Minute
)

// rivals is what is known of them.
type rivals struct {
	first time.Duration    // how long until the first look, and to one that makes sure
	due   <-chan time.Time // when to look again; nil before anything was published
	base  uint64           // messages up to this sequence do not count
	seen  string           // the other boot that was there at the last look
	said  string           // the one that was told of
}

// acknowledged begins to look for rivals when nothing of an earlier life is left.
func (s *session) acknowledged() {
	if s.rivals.due == nil && s.left <= 0 && s.cfg.Fence != nil {
		s.rivals.due, s.rivals.base = time.After(s.rivals.first), s.seq
	}
}

// lookForRivals reports the boot that publishes under our name beside us. An
// error is none of the publisher's: it looks again later.
func (s *session) lookForRivals(ctx context.Context) {
	r := &s.rivals
	if s.saidNoRight {
		r.due = time.After(rivalEvery)
		return
	}
	r.due = time.After(rivalEvery)
	other := ""
	base := r.base
	r.base = s.seq
	err := s.read(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}, 0, false,
		func(m jetstream.Msg, seq uint64) {
			boot := s.cfg.Fence.Boot(m.Headers().Get(nats.MsgIdHdr))
			if seq > base && boot != "" && boot != s.cfg.Fence.Ours {
				other = boot
			}
		})
	if err != nil {
		s.cfg.Log.Debug().Err(err).Msg("cannot look whether another supervisord has the same host name")
		return
	}
	switch {
	case other == "":
	case other != r.seen:
		r.due = time.After(r.first)
	case other != r.said:
		r.said = other
		s.cfg.Log.Error().Str("boot", s.cfg.Fence.Ours).Str("other_boot", other).
			Str("mend", "give each supervisord its own --host").
			Msg("two supervisords publish under this host's name, and overwrite each other's states")
	}
	r.seen = other
}
