package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/records"
	"supernats/consumer/rules"
	"supernats/schema"
	"supernats/schema/stream"
)

// rebuild makes the records of processes and hosts anew from what the stream holds,
// up to where its consumer has read. Counters begin with the oldest message that
// is left. Nobody is told anything.
func (a *App) rebuild(ctx context.Context, js jetstream.JetStream) error {
	begun := time.Now()
	have, err := (durable{stream: stream.Events, name: durableName}).look(ctx, js)
	if err != nil {
		return err
	}
	none, err := rules.Compile(nil, rules.Options{})
	if err != nil {
		return err
	}
	limits := a.cfg.Limits.Fleet()
	m := newMachine(none, limits)
	var read uint64
	if have != nil {
		was, err := new(lineages).open(ctx, js, a.log)
		if err != nil {
			return err
		}
		if was == nil {
			was = &lineage{}
		}
		if read, err = replay(ctx, js, m, *was, have.AckFloor.Stream); err != nil {
			return err
		}
	}
	states, hosts := map[string]*schema.ProcessRecord{}, map[string]*schema.HostRecord{}
	for key, s := range m.fleet.States() {
		states[key] = s
	}
	for key, h := range m.fleet.Hosts() {
		hosts[key] = h
	}
	if _, err := records.Replace(ctx, js, stream.StateBucket, states, stateShare(limits), func() error { return nil }, a.log); err != nil {
		return err
	}
	if _, err := records.Replace(ctx, js, stream.HostsBucket, hosts, hostShare(limits), func() error { return nil }, a.log); err != nil {
		return err
	}
	a.log.Info().Uint64("messages", read).Int("processes", len(states)).Int("hosts", len(hosts)).
		Stringer("took", time.Since(begun).Round(time.Millisecond)).Msg("states are rebuilt")
	return nil
}

// replay feeds a machine with the stream of events, up to a sequence.
func replay(ctx context.Context, js jetstream.JetStream, m *machine, line lineage, last uint64) (read uint64, err error) {
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	if s.CachedInfo().State.Msgs == 0 || s.CachedInfo().State.FirstSeq > last {
		return 0, nil
	}
	oc, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	msgs, err := oc.Messages(jetstream.PullMaxMessagesWithBytesLimit(4*batchSize, pullBytes(js)))
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	defer msgs.Stop()
	for {
		raw, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return read, fmt.Errorf("read stream %s: %w", stream.Events, err)
		}
		in, err := consumer.NewMessage(raw)
		if err != nil {
			return read, err
		}
		if in.Seq > last {
			return read, nil
		}
		read++
		seq := in.Seq
		in.Seq = line.position(seq)
		if err := m.apply(in, in.Stored); err != nil && !errors.As(err, new(unreadable)) {
			return read, err
		}
		if meta, err := raw.Metadata(); err != nil || seq == last || meta.NumPending == 0 {
			return read, err
		}
	}
}
