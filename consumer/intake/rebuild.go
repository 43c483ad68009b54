package intake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/intake/machine"
	"supernats/consumer/records"
	"supernats/consumer/rules"
	"supernats/consumer/source"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// Rebuild makes the records of processes and hosts from what the stream holds, up to what
// its consumer has acknowledged. It makes no notifications. What the stream does not reach
// back to is taken over from the records that there are: see keepCounts. progress is called
// after each message with how much of the stream is read, of how much.
func Rebuild(
	ctx context.Context, js jetstream.JetStream, limits state.Limits,
	progress func(read, total uint64), log zerolog.Logger,
) error {
	begun := time.Now()
	none, err := rules.Compile(nil, rules.Options{})
	if err != nil {
		return err
	}
	m := machine.New(none, limits)
	read, err := replay(ctx, js, m, progress, log)
	if err != nil {
		return err
	}

	states, hosts := maps.Collect(m.Fleet.States()), maps.Collect(m.Fleet.Hosts())
	if err := keepCounts(ctx, js, states, hosts, log); err != nil {
		return err
	}
	held := func() error { return nil }
	if _, err := records.Replace(ctx, js, stream.StateBucket, states, stateShare(limits), held, log); err != nil {
		return err
	}
	if _, err := records.Replace(ctx, js, stream.HostsBucket, hosts, hostShare(limits), held, log); err != nil {
		return err
	}
	log.Info().Uint64("messages", read).Int("processes", len(states)).Int("hosts", len(hosts)).
		Stringer("took", time.Since(begun).Round(time.Millisecond)).Msg("states are rebuilt")
	return nil
}

// replay applies the stream of events to a machine, up to what is acknowledged, and returns
// how many messages that were.
func replay(
	ctx context.Context, js jetstream.JetStream, m *machine.Machine,
	progress func(read, total uint64), log zerolog.Logger,
) (read uint64, err error) {
	have, err := source.EventsQueue.Look(ctx, js)
	if err != nil || have == nil {
		return 0, err
	}
	last := have.AckFloor.Stream
	line, err := new(source.Lineages).Open(ctx, js, log)
	if err != nil {
		return 0, err
	}
	if line == nil {
		line = &source.Lineage{}
	}
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	first := s.CachedInfo().State.FirstSeq
	if s.CachedInfo().State.Msgs == 0 || first > last {
		return 0, nil
	}

	err = source.Replay(ctx, js, *line, time.Time{}, func(in *source.Received) (more bool, err error) {
		seq := in.Meta.Sequence.Stream
		if seq > last {
			return false, nil
		}
		read++
		progress(seq-min(seq, first)+1, last-first+1)
		err = m.Apply(&in.Message, in.Stored)
		if errors.As(err, new(machine.Unreadable)) {
			err = nil
		}
		return seq < last, err
	})
	return read, err
}

// keepCounts has counters fall nowhere. The stream drops its oldest messages, and a count of
// those that are left would be smaller than what was counted before: for Prometheus that is
// a counter which began again at 0, so that all of it happened just now.
//
// A process whose record is as old as what the stream says of it is counted by the stream
// alone: that has everything.
func keepCounts(
	ctx context.Context, js jetstream.JetStream,
	states map[string]*schema.ProcessRecord, hosts map[string]*schema.HostRecord, log zerolog.Logger,
) error {
	_, oldStates, err := records.Open[schema.ProcessRecord](ctx, js, stream.StateBucket, nil, log)
	if err != nil {
		return err
	}
	for key, rebuilt := range states {
		old := oldStates[key]
		if old == nil || schema.StateKey(old.Host, old.Group, old.Process) != key ||
			!old.Recorded.Before(rebuilt.Recorded.Time) {
			continue
		}
		if !old.Recorded.IsZero() { // an earlier version did not say since when
			rebuilt.Recorded = old.Recorded
		}
		rebuilt.Starts = max(rebuilt.Starts, old.Starts)
		rebuilt.UnexpectedExits = max(rebuilt.UnexpectedExits, old.UnexpectedExits)
		rebuilt.Exits = max(rebuilt.Exits, old.Exits, rebuilt.UnexpectedExits)
		rebuilt.Fatals = max(rebuilt.Fatals, old.Fatals)
		if rebuilt.LastExit == nil {
			rebuilt.LastExit = old.LastExit
		}
	}

	_, oldHosts, err := records.Open[schema.HostRecord](ctx, js, stream.HostsBucket, nil, log)
	if err != nil {
		return err
	}
	for key, rebuilt := range hosts {
		if old := oldHosts[key]; old != nil && schema.Token(old.Host) == key {
			keepLosses(rebuilt, old)
		}
	}
	return nil
}

// keepLosses has what a host has lost not become less.
func keepLosses(rebuilt, old *schema.HostRecord) {
	rebuilt.Lost = max(rebuilt.Lost, old.Lost)
	for cause, lost := range old.LostBy {
		if lost <= rebuilt.LostBy[cause] {
			continue
		}
		if rebuilt.LostBy == nil {
			rebuilt.LostBy = map[string]uint64{}
		}
		rebuilt.LostBy[cause] = lost
	}
	if rebuilt.LastLoss == nil {
		rebuilt.LastLoss = old.LastLoss
	}
}
