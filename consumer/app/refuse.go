package app

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/schema/repeat"
	"supernats/schema/stream"
)

// What nobody can read is parked, for people to see. Every host has a share of the room
// there is for that: one that sends nonsense all day must not push out what others have
// parked, such as notifications that no receiver has taken. What is beyond the share is
// counted and shown with the host; it stays in the stream of events as long as that
// keeps it.
const (
	// parkedMessages and parkedBytes are the share of a host, of which a message beyond
	// parkedBytes keeps its first shortParked bytes. All hosts that are not known have
	// one share together.
	parkedMessages = 100
	parkedBytes    = 1 << 20
	shortParked    = 1 << 10
	// parkedAll is how much there is of all hosts, if the stream has no smaller limit:
	// a quarter of that.
	parkedAll = 32 << 20
	// recount is how often what is there is counted again: somebody may have removed it.
	recount = 10 * time.Minute
	// headerSize is the size of a payload that was not asked for.
	headerSize = "Nats-Msg-Size"
)

// refusals counts what could not be read. It is used by the reader of events alone.
type refusals struct {
	counted time.Time // when what is parked was counted; zero: not yet
	parked  map[string]*parkedShare
	total   int // bytes
	most    int // of total
	// seen are those since the daemon was started.
	seen map[string]*refused
	// failing are the errors of parking, and the reasons for it.
	failing repeat.Errors
}

type parkedShare struct{ messages, bytes int }

// refused is how many messages of a host could not be read, and how many of them were
// not parked.
type refused struct{ n, dropped int }

// refuse parks a message that nobody can read, or counts it.
func (v *events) refuse(ctx context.Context, m *received, reason error) error {
	host := v.shareOf(hostToken(m.Subject))
	r := &v.refusals
	if r.seen == nil {
		r.seen = map[string]*refused{}
	}
	of := r.seen[host]
	if of == nil {
		of = &refused{}
		r.seen[host] = of
	}
	keep, err := r.room(ctx, v.js, host, len(m.Data), v.shareOf)
	if err != nil {
		return err
	}

	kept := keep >= 0
	if kept {
		err = consumer.ParkShort(ctx, v.js, stream.Events, durableName, m.raw, reason, keep)
		var refusal *jetstream.APIError
		if errors.As(err, &refusal) && !errors.Is(err, jetstream.ErrStreamNotFound) {
			// There is no room in the account: alerts must not wait for that.
			if r.failing.Failed(err) {
				v.log.Error().Err(err).Str("stream", stream.Parked).Msg("message cannot be parked; it is counted")
			}
			kept, err = false, nil
		}
		if err != nil {
			return err
		}
	}
	of.n++
	if kept {
		r.add(host, min(keep, len(m.Data)))
		level := zerolog.ErrorLevel
		if !r.failing.FailedAt(host+" "+reason.Error(), time.Now()) {
			level = zerolog.DebugLevel
		}
		v.log.WithLevel(level).Err(reason).Str("subject", m.Subject).Str("parked", stream.ParkedSubject(durableName)).Msg("message is not one of ours; it is parked")
	} else if of.dropped++; bits.OnesCount(uint(of.dropped)) == 1 { // 1, 2, 4, 8 …
		v.log.Error().Err(reason).Str("subject", m.Subject).Int("messages", of.dropped).Uint64("stream_seq", m.meta.Sequence.Stream).
			Msg("messages are not ours, and more of the host are parked than it may have; they are counted")
	}
	if of.dropped > 0 { // what is parked is shown as such
		v.machine.refused(&m.Message, reason.Error(), of.n, of.dropped)
	}
	return nil
}

// shareOf is the host whose share a message counts for, by its token: names that nobody
// knows are invented at will.
func (v *events) shareOf(token string) string {
	if v.fleet.Named(token) == "" {
		return ""
	}
	return token
}

// room returns how many bytes of a message of a host may be parked, -1 if it may not be.
func (r *refusals) room(ctx context.Context, js jetstream.JetStream, host string, size int, shareOf func(string) string) (int, error) {
	if r.counted.IsZero() {
		if err := r.count(ctx, js, shareOf); err != nil {
			return 0, err
		}
	}
	keep := r.left(host, size)
	if keep < 0 && time.Since(r.counted) > recount {
		if err := r.count(ctx, js, shareOf); err != nil {
			return 0, err
		}
		keep = r.left(host, size)
	}
	return keep, nil
}

func (r *refusals) left(host string, size int) int {
	have := parkedShare{}
	if s := r.parked[host]; s != nil {
		have = *s
	}
	if have.bytes+size > parkedBytes && have.messages > 0 {
		size = min(size, shortParked)
	}
	if have.messages >= parkedMessages || r.total+size > r.most {
		return -1
	}
	return size
}

func (r *refusals) add(host string, bytes int) {
	s := r.parked[host]
	if s == nil {
		s = &parkedShare{}
		r.parked[host] = s
	}
	s.messages++
	s.bytes += bytes
	r.total += bytes
}

// count reads how much is parked of each host.
func (r *refusals) count(ctx context.Context, js jetstream.JetStream, shareOf func(string) string) error {
	s, err := js.Stream(ctx, stream.Parked)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	r.parked, r.total, r.most = map[string]*parkedShare{}, 0, parkedAll
	if limit := s.CachedInfo().Config.MaxBytes; limit > 0 {
		r.most = min(r.most, int(limit/4))
	}
	oc, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{stream.ParkedSubject(durableName)}, HeadersOnly: true})
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Parked, err)
	}
	for pending := oc.CachedInfo().NumPending; pending > 0; {
		m, err := oc.Next(jetstream.FetchMaxWait(ackTimeout))
		if errors.Is(err, nats.ErrTimeout) { // somebody removes them
			break
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream.Parked, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read a message's metadata: %w", err)
		}
		size, _ := strconv.Atoi(m.Headers().Get(headerSize))
		r.add(shareOf(hostToken(m.Headers().Get(consumer.HeaderParkedSubject))), size)
		pending = meta.NumPending
	}
	r.counted = time.Now()
	return nil
}
