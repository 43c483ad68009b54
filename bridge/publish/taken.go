package publish

import (
	"context"
	"errors"
	"slices"
	"time"

	"supernats/bridge/publish/headers"
	"supernats/bridge/publish/ids"
	"supernats/bridge/publish/refusal"
)

// The stream remembers message ids across subjects. So anybody who may publish on one subject
// can use up the ids of what another user is about to send: the stream then takes the real
// message for a duplicate. The answer to a duplicate has the sequence of the message that
// the stream holds (nats-server stream.go, processJetStreamMsgWithBatch). If a message sent
// for the first time gets such an answer, the publisher reads what is stored there:
//
//   - a message on our own subjects with our id is the same event, published by another
//     listener of this supervisord: nothing is wrong;
//   - in any other case, and if we may not read it, the message is sent again under an id
//     that nobody can foresee. Its CloudEvents id, by which consumers know an event, stays.

const (
	// lookEvery is how long answers accumulate before they are judged, once another listener
	// of ours is known: it makes a duplicate of every event.
	lookEvery = time.Second
	// lookSpan is the largest gap between sequences that are read together, and looks how
	// many spans are read for one batch of answers.
	lookSpan = 5000
	looks    = 16
)

// taken is what is known of message ids that somebody else has used. It belongs to the
// goroutine that publishes; only others.Make is called from others.
type taken struct {
	others ids.Others // the ids to use instead, until the stream has them
	lookAt time.Time  // answers are not judged before

	raised bool      // the trouble is reported
	last   time.Time // when it was last reported
	count  uint64    // how many messages were sent again under another id
}

// errTaken ends a session whose messages are to be sent under other ids.
var errTaken = errors.New("message ids were used by somebody else")

// judge reads what the stream holds under the sequences of the suspect answers that have
// arrived. It returns errTaken if some messages are to be sent again.
func (s *session) judge(ctx context.Context) error {
	suspects := s.takeSuspects()

	judged, found, err := s.find(ctx, suspects)
	switch {
	case errors.Is(err, refusal.ErrNoRight):
		s.p.reportNoRight(err) // then all are sent again: consumers drop what they know
	case err != nil:
		return err
	}

	ours := 0
	var taken error
	for _, m := range judged {
		if id, ok := found[m.seq]; ok && id == ids.Of(ids.WithoutAgain(m.id)) {
			m.suspect = false
			ours++
			continue
		}
		s.p.taken.others.Use(m.id)
		s.p.reportTaken(m.id)
		taken = errTaken
	}

	if ours > 0 {
		s.p.countDuplicates(s.queue[0].id, ours)
		s.p.taken.lookAt = time.Now().Add(lookEvery)
	}
	return taken
}

// takeSuspects takes the answers that have arrived without a gap, and returns the messages
// whose answers are suspect.
func (s *session) takeSuspects() []*inflight {
	var suspects []*inflight
	for i := range s.queue {
		m := &s.queue[i]
		if m.number != 0 && !m.settled {
			ack, ok := s.acks.Peek(m.number)
			if !ok || s.check(*m, ack) != nil {
				break // settle takes it
			}
			s.acks.Take(m.number)
			s.noteAnswer(m, ack)
		}
		if m.suspect {
			suspects = append(suspects, m)
		}
	}
	return suspects
}

// find returns the ids of the messages that the stream holds on our subjects under the
// sequences of suspects, and the suspects that were looked up: not all, if they are too far
// apart.
func (s *session) find(
	ctx context.Context, suspects []*inflight,
) (judged []*inflight, found map[uint64]ids.ID, err error) {
	found = map[uint64]ids.ID{}
	order := slices.Clone(suspects)
	slices.SortFunc(order, func(a, b *inflight) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})

	for spans := 0; len(order) > 0 && spans < looks; spans++ {
		n := 1
		for n < len(order) && order[n].seq-order[n-1].seq <= lookSpan {
			n++
		}

		what := headers.Between(order[0].seq, order[n-1].seq)
		err := s.headers.Read(ctx, what, func(_, id string, seq uint64) { found[seq] = ids.Of(id) })
		if errors.Is(err, refusal.ErrNoRight) {
			return suspects, found, err
		}
		if err != nil {
			return nil, nil, err
		}
		judged = append(judged, order[:n]...)
		order = order[n:]
	}
	return judged, found, nil
}

// noteResent notes that a message was stored under another id.
func (s *session) noteResent(m *inflight) {
	otherID := s.p.taken.others.Done(m.id)
	if otherID != "" && s.p.cfg.Resent != nil && !s.p.noRight {
		s.p.cfg.Resent(m.id, otherID)
	}
}

// reportTaken reports that somebody used one of our ids, or may have: without the right to
// read the stream that is not known. It is logged again each time the count has doubled.
func (p *Publisher) reportTaken(id string) {
	t := &p.taken
	t.count++
	fix := "find who publishes with message ids of this host, and take the right to from it: " +
		"nats stream view " + p.cfg.Stream
	if !p.noRight {
		t.raised = true
		t.last = time.Now()
		p.raise(CauseTaken, "the stream has messages of somebody else under message ids of this host; "+
			"ours are stored under other ids, such as that of "+id, fix)
	}

	if t.count&(t.count-1) == 0 {
		p.cfg.Log.Error().Str("id", id).Uint64("messages", t.count).Bool("looked", !p.noRight).Str("fix", fix).
			Msg("a message id was used by somebody else; the message is sent again under another id")
	}
}
