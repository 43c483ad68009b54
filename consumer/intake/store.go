package intake

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/intake/machine"
	"supernats/consumer/records"
	"supernats/consumer/source"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// maxOpenAlerts is how many alerts of one host are read at a start. The rules open fewer.
const maxOpenAlerts = 10_000

// The shares select which records of a bucket are kept, within the limits.

func stateShare(l state.Limits) *records.Share[schema.ProcessRecord] {
	return &records.Share[schema.ProcessRecord]{
		HostOf: firstToken, PerHost: l.Processes, All: l.AllProcesses,
		IsSpare: func(s *schema.ProcessRecord) bool { return s.Gone != nil },
	}
}

func hostShare(l state.Limits) *records.Share[schema.HostRecord] {
	return &records.Share[schema.HostRecord]{HostOf: func(string) string { return "" }, PerHost: l.Hosts, All: l.Hosts}
}

func alertShare(l state.Limits) *records.Share[schema.Alert] {
	return &records.Share[schema.Alert]{
		HostOf: secondToken, PerHost: maxOpenAlerts, All: l.AllProcesses,
		IsSpare: func(a *schema.Alert) bool { return a.Phase == schema.PhaseResolved },
	}
}

func firstToken(key string) string {
	token, _, _ := strings.Cut(key, ".")
	return token
}

// secondToken is the host in the key of an alert: <rule>.<host>.<group>.<process>.
func secondToken(key string) string {
	_, rest, _ := strings.Cut(key, ".")
	return firstToken(rest)
}

// store keeps the records of processes, hosts and alerts in their buckets.
//
//   - Writes have one order: alerts, processes, hosts. So after a crash no record of a process
//     or a host is newer than the alerts, which would have missed a change.
//   - The buckets are the ones that the machine was restored from: all three or none.
type store struct {
	js  jetstream.JetStream
	log zerolog.Logger

	// nil before the first reading.
	states *records.Bucket[schema.ProcessRecord]
	hosts  *records.Bucket[schema.HostRecord]
	alerts *records.Bucket[schema.Alert]

	// rewrite is set when the buckets have to be written from memory before they are read.
	rewrite bool
	looked  time.Time // when isLookDue last reported true
}

// useConnection sets the connection for everything from now on.
func (s *store) useConnection(js jetstream.JetStream) {
	s.js = js
	if s.states == nil {
		return
	}
	s.alerts.Use(js)
	s.states.Use(js)
	s.hosts.Use(js)
}

// contents is what the buckets hold: records by key, and how they were read.
type contents struct {
	states     map[string]*schema.ProcessRecord
	hosts      map[string]*schema.HostRecord
	alerts     map[string]*schema.Alert
	stateShare *records.Share[schema.ProcessRecord]
	alertShare *records.Share[schema.Alert]

	stateBucket *records.Bucket[schema.ProcessRecord]
	hostBucket  *records.Bucket[schema.HostRecord]
	alertBucket *records.Bucket[schema.Alert]
}

// open reads the buckets, within the limits. adopt makes them those of the store.
func (s *store) open(ctx context.Context, limits state.Limits) (*contents, error) {
	c := &contents{stateShare: stateShare(limits), alertShare: alertShare(limits)}
	var err error
	c.stateBucket, c.states, err = records.Open(ctx, s.js, stream.StateBucket, c.stateShare, s.log)
	if err != nil {
		return nil, err
	}
	hosts := hostShare(limits)
	c.hostBucket, c.hosts, err = records.Open(ctx, s.js, stream.HostsBucket, hosts, s.log)
	if err != nil {
		return nil, err
	}
	if n := hosts.Skipped(""); n > 0 {
		s.log.Error().Int("hosts", n).Int("limit", limits.Hosts).
			Msg("there are more hosts than limits.hosts allows; nothing of the others is read")
	}
	c.alertBucket, c.alerts, err = records.Open(ctx, s.js, stream.AlertsBucket, c.alertShare, s.log)
	return c, err
}

// adopt writes everything from now on to the buckets that were read.
func (s *store) adopt(c *contents) {
	s.states, s.hosts, s.alerts = c.stateBucket, c.hostBucket, c.alertBucket
}

// lastPlace returns the last message that was read. Only the record of a host has the time at
// which its last message was stored.
func (s *store) lastPlace(ctx context.Context, limits state.Limits) (last source.Place, err error) {
	_, hosts, err := records.Open(ctx, s.js, stream.HostsBucket, hostShare(limits), s.log)
	if err != nil {
		return source.Place{}, err
	}
	for _, h := range hosts {
		if h.Seq > last.Position {
			last = source.Place{Position: h.Seq, Stored: h.LastSeen.Time}
		}
	}
	return last, nil
}

// highest returns the highest position in any record; read is the one that hosts know.
// Records of processes and alerts are stored before those of hosts, and may be further
// after a crash.
func (s *store) highest(ctx context.Context, read uint64, limits state.Limits) (uint64, error) {
	most := read
	states, alerts := stateShare(limits), alertShare(limits)
	states.See = func(s *schema.ProcessRecord) { most = max(most, s.Seq) }
	alerts.See = func(a *schema.Alert) { most = max(most, a.Seq) }

	if _, _, err := records.Open(ctx, s.js, stream.StateBucket, states, s.log); err != nil {
		return 0, err
	}
	if _, _, err := records.Open(ctx, s.js, stream.AlertsBucket, alerts, s.log); err != nil {
		return 0, err
	}
	return most, nil
}

// isLookDue reports, every lookEvery, that it is time to check the buckets.
func (s *store) isLookDue() bool {
	if s.states == nil || time.Since(s.looked) < lookEvery {
		return false
	}
	s.looked = time.Now()
	return true
}

// isOther reports whether a bucket was replaced since it was read.
func (s *store) isOther(ctx context.Context) (bool, error) {
	for _, b := range []interface {
		IsOther(ctx context.Context) (bool, error)
	}{s.alerts, s.states, s.hosts} {
		if other, err := b.IsOther(ctx); err != nil || other {
			return other, err
		}
	}
	return false, nil
}

// rewriteAll makes the buckets hold what the machine knows, provided that held returns no
// error after they were read.
func (s *store) rewriteAll(ctx context.Context, m *machine.Machine, limits state.Limits, held func() error) error {
	alerts := map[string]*schema.Alert{}
	for _, c := range m.Engine.Records() {
		alerts[c.Key] = c.Record
	}
	states, hosts := maps.Collect(m.Fleet.States()), maps.Collect(m.Fleet.Hosts())

	if err := rewrite(ctx, s, &s.alerts, alerts, alertShare(limits), held); err != nil {
		return err
	}
	if err := rewrite(ctx, s, &s.states, states, stateShare(limits), held); err != nil {
		return err
	}
	if err := rewrite(ctx, s, &s.hosts, hosts, hostShare(limits), held); err != nil {
		return err
	}
	s.log.Warn().Int("processes", len(states)).Int("hosts", len(hosts)).Int("alerts", len(alerts)).
		Msg("streams or buckets are not what they were; records are written again from memory")
	return nil
}

// rewrite makes a bucket hold rows, and replaces b by the bucket as it is then.
func rewrite[T any](
	ctx context.Context, s *store, b **records.Bucket[T], rows map[string]*T, room *records.Share[T], held func() error,
) error {
	replaced, err := records.Replace(ctx, s.js, (*b).Name(), rows, room, held, s.log)
	if err == nil {
		*b = replaced
	}
	return err
}

// write stores the records that changed, apart from those to delete.
func (s *store) write(ctx context.Context, m *machine.Machine) error {
	var alerts []records.Record[schema.Alert]
	for _, c := range m.Engine.Changed() {
		alerts = append(alerts, records.Record[schema.Alert]{Key: c.Key, Value: c.Record})
	}
	if err := s.alerts.Write(ctx, alerts); err != nil {
		return err
	}

	states, _ := split(m.Changes.States)
	if err := s.states.Write(ctx, states); err != nil {
		return err
	}
	hosts, _ := split(m.Changes.Hosts)
	return s.hosts.Write(ctx, hosts)
}

// deleteForgotten deletes what is left of hosts and processes that were forgotten: their
// records with their history, and the consumers of their bridges.
func (s *store) deleteForgotten(ctx context.Context, m *machine.Machine) error {
	_, states := split(m.Changes.States)
	_, hosts := split(m.Changes.Hosts)
	if len(states)+len(hosts)+len(m.Changes.Forgotten) == 0 {
		return nil
	}
	if err := s.states.Write(ctx, states); err != nil {
		return err
	}
	if err := s.hosts.Write(ctx, hosts); err != nil {
		return err
	}
	s.states.PurgeMarkers(ctx, states)
	s.hosts.PurgeMarkers(ctx, hosts)

	for host := range m.Changes.Forgotten {
		name := stream.BridgeConsumer(host)
		err := s.js.DeleteConsumer(ctx, stream.Events, name)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			s.log.Warn().Err(err).Str("consumer", name).
				Msg("the consumer of a host that was forgotten cannot be deleted; " +
					"`nats consumer rm SUPERVISOR` deletes it")
		}
	}
	clear(m.Changes.Forgotten)
	return nil
}

// split returns the records to store, and those to delete.
func split[T any](changed map[string]*T) (stored, deleted []records.Record[T]) {
	stored = make([]records.Record[T], 0, len(changed))
	for key, value := range changed {
		r := records.Record[T]{Key: key, Value: value}
		if value == nil {
			deleted = append(deleted, r)
		} else {
			stored = append(stored, r)
		}
	}
	return stored, deleted
}
