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

// Unreadable messages are parked, for people to see. Every host has a share of the room for
// that: one that sends nonsense all day must not push out what others have parked, such as
// notifications that no receiver accepts. What exceeds the share is counted and shown with
// the host; the stream of events has it for as long as it keeps it.
const (
	// parkedMessages and parkedBytes are the share of a host. Beyond parkedBytes only the
	// first shortParked bytes of a message are parked. All unknown hosts have one share
	// together.
	parkedMessages = 100
	parkedBytes    = 1 << 20
	shortParked    = 1 << 10
	// parkedAll bounds the shares of all hosts together; a quarter of the limit of the
	// stream does too.
	parkedAll = 32 << 20
	// recount is how often the stream is counted again: somebody may have removed messages.
	recount = 10 * time.Minute
	// countWithin is how long the next message may take during a count.
	countWithin = 5 * time.Second
	// headerSize has the size of a payload when only headers are requested.
	headerSize = "Nats-Msg-Size"
)

// refusals counts unreadable messages. The zero value has counted none.
type refusals struct {
	parked parkedShares
	// seen counts those since the daemon started, by the host of the share.
	seen map[string]*refused
	// failing counts the errors of parking, and the reasons for it.
	failing repeat.Errors
}

// refused is how many messages of a host were unreadable, and how many of them were not
// parked.
type refused struct{ n, dropped int }

// refuseMessage parks an unreadable message, or only counts it.
func (r *Reader) refuseMessage(ctx context.Context, m *source.Received, reason error) error {
	host := r.shareOf(machine.HostToken(m.Subject))
	keep, err := r.refusals.parked.roomFor(ctx, r.js, host, len(m.Data), r.shareOf)
	if err != nil {
		return err
	}

	kept := keep >= 0
	if kept {
		kept, err = r.parkMessage(ctx, m, reason, keep)
		if err != nil {
			return err
		}
	}
	of := r.refusals.countsOf(host)
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

// countsOf returns the counts of a share.
func (f *refusals) countsOf(host string) *refused {
	if f.seen == nil {
		f.seen = map[string]*refused{}
	}
	if f.seen[host] == nil {
		f.seen[host] = &refused{}
	}
	return f.seen[host]
}

// parkMessage parks the first keep bytes of a message. It reports false if the account has
// no room: alerts must not wait for that.
func (r *Reader) parkMessage(ctx context.Context, m *source.Received, reason error, keep int) (kept bool, err error) {
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

// shareOf returns the token of the host whose share a message counts for, "" for the common
// share of unknown hosts: names can be invented at will.
func (r *Reader) shareOf(token string) string {
	if r.machine.Fleet.Named(token) == "" {
		return ""
	}
	return token
}

// parkedShares is how much of each host is parked.
type parkedShares struct {
	counted time.Time // when the stream was counted; zero: not yet
	byHost  map[string]*parkedShare
	total   int // bytes
	most    int // of total
}

type parkedShare struct{ messages, bytes int }

// roomFor returns how many bytes of a message may be parked, -1 if it must not be parked.
func (p *parkedShares) roomFor(
	ctx context.Context, js jetstream.JetStream, host string, size int, shareOf func(string) string,
) (int, error) {
	if p.counted.IsZero() {
		if err := p.count(ctx, js, shareOf); err != nil {
			return 0, err
		}
	}
	keep := p.bytesLeft(host, size)
	if keep < 0 && time.Since(p.counted) > recount {
		if err := p.count(ctx, js, shareOf); err != nil {
			return 0, err
		}
		keep = p.bytesLeft(host, size)
	}
	return keep, nil
}

func (p *parkedShares) bytesLeft(host string, size int) int {
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

// count counts what is parked of each host.
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
