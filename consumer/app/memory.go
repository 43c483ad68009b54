package app

import (
	"context"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/health"
	"supernats/consumer/records"
	"supernats/schema"
	"supernats/schema/stream"
)

// findPlace finds out which message is the last one that was read, if this process has
// not read it itself. A host's record says of its last message when it was stored.
func (v *events) findPlace(ctx context.Context) error {
	if v.known.read.position > 0 {
		return nil
	}
	_, hosts, err := records.Open(ctx, v.js, stream.HostsBucket, hostShare(v.plan.cfg.Limits.Fleet()), v.log)
	if err != nil {
		return err
	}
	var last place
	for _, h := range hosts {
		if h.Seq > last.position {
			last = place{h.Seq, h.LastSeen.Time}
		}
	}
	v.known.read, v.known.acked = last, last
	return nil
}

// highest returns the highest position in any record. Those of processes and alerts are
// stored before those of hosts: after a crash they may know more.
func (v *events) highest(ctx context.Context) (uint64, error) {
	most, limits := v.known.read.position, v.plan.cfg.Limits.Fleet()
	states, alerts := stateShare(limits), alertShare(limits)
	states.See = func(s *schema.ProcessRecord) { most = max(most, s.Seq) }
	alerts.See = func(a *schema.Alert) { most = max(most, a.Seq) }

	if _, _, err := records.Open(ctx, v.js, stream.StateBucket, states, v.log); err != nil {
		return 0, err
	}
	if _, _, err := records.Open(ctx, v.js, stream.AlertsBucket, alerts, v.log); err != nil {
		return 0, err
	}
	return most, nil
}

// remember writes what this process knows to buckets that are not what they were when
// it read them: deleted, lost with a volume, restored from a backup. That is done before
// they are read, and only as the active instance. moved says that the stream of events
// is another one too.
//
// A bucket that is the one of before wins over memory: somebody may have deleted a
// record, which is respected.
func (v *events) remember(ctx context.Context, moved bool) error {
	if v.machine == nil {
		return nil
	}
	v.rewrite = v.rewrite || moved // also if what comes now fails
	if err := v.publishPending(ctx); err != nil {
		return err
	}
	other, err := v.recordsVanished(ctx)
	if err != nil {
		return err
	}
	// Once begun it is to be finished: a bucket that is half written looks like the one
	// of before.
	v.rewrite = v.rewrite || other
	if !v.rewrite {
		return nil
	}

	v.engine.LostUpTo(v.line.Base)
	alerts := map[string]*schema.Alert{}
	for _, c := range v.engine.Records() {
		alerts[c.Key] = c.Record
	}
	states, hosts := maps.Collect(v.fleet.States()), maps.Collect(v.fleet.Hosts())
	// In the order in which they are always stored.
	limits := v.plan.cfg.Limits.Fleet()
	if err := rewrite(ctx, v, &v.alerts, alerts, alertShare(limits)); err != nil {
		return err
	}
	if err := rewrite(ctx, v, &v.states, states, stateShare(limits)); err != nil {
		return err
	}
	if err := rewrite(ctx, v, &v.hosts, hosts, hostShare(limits)); err != nil {
		return err
	}
	v.rewrite = false
	v.log.Warn().Int("processes", len(states)).Int("hosts", len(hosts)).Int("alerts", len(alerts)).
		Msg("streams or buckets are not what they were; records are written again from memory")
	return nil
}

// rewrite makes a bucket hold what this process knows. That is what it is from then on.
func rewrite[T any](ctx context.Context, v *events, b **records.Bucket[T], rows map[string]*T, room *records.Share[T]) error {
	again, err := records.Replace(ctx, v.js, (*b).Name(), rows, room, v.held, v.log)
	if err == nil {
		*b = again
	}
	return err
}

// over says over which connection to NATS what follows is done.
func (v *events) over(js jetstream.JetStream) {
	v.js = js
	if v.states != nil {
		v.alerts.Use(js)
		v.states.Use(js)
		v.hosts.Use(js)
	}
}

// recordsVanished reports whether a bucket is not what it was when it was read.
func (v *events) recordsVanished(ctx context.Context) (bool, error) {
	for _, b := range []interface {
		IsOther(ctx context.Context) (bool, error)
	}{v.alerts, v.states, v.hosts} {
		if other, err := b.IsOther(ctx); err != nil || other {
			return other, err
		}
	}
	return false, nil
}

// isOther looks now and then whether a bucket is not what it was when it was read.
// Where nothing happens, nothing would be written to it.
func (v *events) isOther(ctx context.Context) (other bool, err error) {
	if v.states == nil || time.Since(v.looked) < lookEvery {
		return false, nil
	}
	v.looked = time.Now()
	err = health.Unbroken(ctx, v.js.Conn(), func(ctx context.Context) (err error) {
		if other, err = v.recordsVanished(ctx); err == nil && !other {
			other, err = v.mutes.isOther(ctx, v.js)
		}
		return err
	})
	v.rewrite = v.rewrite || other
	return other, err
}

// followMutes reads the silences again after the connection was made again: what changes
// just then would be seen when the watcher notices that it hears nothing, seconds later.
func (v *events) followMutes(ctx context.Context) error {
	now := v.js.Conn().Stats().Reconnects
	if now == v.reconnects {
		return nil
	}
	again, err := watchMutes(ctx, v.js, v.mutes, v.log)
	if err != nil {
		return err
	}
	v.mutes.stop()
	v.mutes, v.reconnects = again, now
	return nil
}

// publishPending publishes what the rules have made. It is kept until the stream has
// it, also if that vanishes meanwhile.
func (v *events) publishPending(ctx context.Context) error {
	for _, n := range v.take() {
		n.Alert = v.logBudget.Spend(n.Alert, n.At) // once, however often it is tried
		v.pending = append(v.pending, n)
	}
	if len(v.pending) == 0 {
		return nil
	}
	err := health.Unbroken(ctx, v.js.Conn(), func(ctx context.Context) error { return v.publish(ctx, v.pending) })
	if err != nil {
		return err
	}
	v.pending = nil
	return nil
}

// sequences returns the events of a notification as others know them: by their
// sequences in the stream that there is, 0 if they were in an earlier one.
func (l lineage) sequences(events []schema.AlertEvent) []schema.AlertEvent {
	for i := range events {
		events[i].Seq = l.seq(events[i].Seq)
	}
	return events
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
