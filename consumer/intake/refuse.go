package intake

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
	"supernats/consumer/intake/machine"
	"supernats/consumer/source"
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
	// countWithin is how long the next message may take while it is counted.
	countWithin = 5 * time.Second
	// headerSize is the size of a payload that was not asked for.
	headerSize = "Nats-Msg-Size"
)

// refusals counts what could not be read. The zero value has counted nothing.
type refusals struct {
	parked parkedShares
	// seen are those since the daemon was started, by the host whose share they are of.
	seen map[string]*refused
	// failing are the errors of parking, and the reasons for it.
	failing repeat.Errors
}

// refused is how many messages of a host could not be read, and how many of them were not
// parked.
type refused struct{ n, dropped int }

// refuse parks a message that nobody can read, or counts it.
func (r *Reader) refuse(ctx context.Context, m *source.Received, reason error) error {
	host := r.shareOf(machine.HostToken(m.Subject))
	keep, err := r.refusals.parked.room(ctx, r.js, host, len(m.Data), r.shareOf)
	if err != nil {
		return err
	}

	kept := keep >= 0
	if kept {
		kept, err = r.park(ctx, m, reason, keep)
		if err != nil {
			return err
		}
	}
	of := r.refusals.of(host)
	of.n++
	if kept {
		r.refusals.parked.add(host, min(keep, len(m.Data)))
		r.logParked(host, m, reason)
	} else if of.dropped++; bits.OnesCount(uint(of.dropped)) == 1 { // 1, 2, 4, 8 …
		r.log.Error().Err(reason).Str("subject", m.Subject).Int("messages", of.dropped).
			Uint64("stream_seq", m.Meta.Sequence.Stream).
			Msg("messages are not ours, and more of the host are parked than it may have; they are counted")
	}

	if of.dropped > 0 { // what is parked is shown as such
		r.machine.Refused(&m.Message, reason.Error(), of.n, of.dropped)
	}
	return nil
}

// of returns the counts of a share.
func (f *refusals) of(host string) *refused {
	if f.seen == nil {
		f.seen = map[string]*refused{}
	}
	if f.seen[host] == nil {
		f.seen[host] = &refused{}
	}
	return f.seen[host]
}

// park parks so many bytes of a message. It reports false if there is no room in the
// account: alerts must not wait for that.
func (r *Reader) park(ctx context.Context, m *source.Received, reason error, keep int) (kept bool, err error) {
	err = consumer.ParkShort(ctx, r.js, stream.Events, source.EventsQueue.Name, m.Raw, reason, keep)
	var refusal *jetstream.APIError
	if !errors.As(err, &refusal) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return err == nil, err
	}
	if r.refusals.failing.Failed(err) {
		r.log.Error().Err(err).Str("stream", stream.Parked).Msg("message cannot be parked; it is counted")
	}
	return false, nil
}

func (r *Reader) logParked(host string, m *source.Received, reason error) {
	level := zerolog.ErrorLevel
	if !r.refusals.failing.FailedAt(host+" "+reason.Error(), time.Now()) {
		level = zerolog.DebugLevel
	}
	r.log.WithLevel(level).Err(reason).Str("subject", m.Subject).
		Str("parked", stream.ParkedSubject(source.EventsQueue.Name)).
		Msg("message is not one of ours; it is parked")
}

// shareOf is the host whose share a message counts for, by its token: names that nobody
// knows are invented at will.
func (r *Reader) shareOf(token string) string {
	if r.machine.Fleet.Named(token) == "" {
		return ""
	}
	return token
}

// parkedShares is how much is parked of each host.
type parkedShares struct {
	counted time.Time // when the stream was counted; zero: not yet
	byHost  map[string]*parkedShare
	total   int // bytes
	most    int // of total
}

type parkedShare struct{ messages, bytes int }

// room returns how many bytes of a message of a host may be parked, -1 if it may not be.
func (p *parkedShares) room(
	ctx context.Context, js jetstream.JetStream, host string, size int, shareOf func(string) string,
) (int, error) {
	if p.counted.IsZero() {
		if err := p.count(ctx, js, shareOf); err != nil {
			return 0, err
		}
	}
	keep := p.left(host, size)
	if keep < 0 && time.Since(p.counted) > recount {
		if err := p.count(ctx, js, shareOf); err != nil {
			return 0, err
		}
		keep = p.left(host, size)
	}
	return keep, nil
}

func (p *parkedShares) left(host string, size int) int {
	have := parkedShare{}
	if s := p.byHost[host]; s != nil {
		have = *s
	}
	if have.bytes+size > parkedBytes && have.messages > 0 {
		size = min(size, shortParked)
	}
	if have.messages >= parkedMessages || p.total+size > p.most {
		return -1
	}
	return size
}

func (p *parkedShares) add(host string, bytes int) {
	s := p.byHost[host]
	if s == nil {
		s = &parkedShare{}
		p.byHost[host] = s
	}
	s.messages++
	s.bytes += bytes
	p.total += bytes
}

// count reads how much is parked of each host.
func (p *parkedShares) count(ctx context.Context, js jetstream.JetStream, shareOf func(string) string) error {
	s, err := js.Stream(ctx, stream.Parked)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	*p = parkedShares{byHost: map[string]*parkedShare{}, most: parkedAll}
	if limit := s.CachedInfo().Config.MaxBytes; limit > 0 {
		p.most = min(p.most, int(limit/4))
	}
	parked, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{stream.ParkedSubject(source.EventsQueue.Name)}, HeadersOnly: true,
	})
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Parked, err)
	}

	for pending := parked.CachedInfo().NumPending; pending > 0; {
		m, err := parked.Next(jetstream.FetchMaxWait(countWithin))
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
		p.add(shareOf(machine.HostToken(m.Headers().Get(consumer.HeaderParkedSubject))), size)
		pending = meta.NumPending
	}
	p.counted = time.Now()
	return nil
}
