package app

import (
	"context"
	"strings"

	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// An earlier version stored whatever names hosts invented: a bucket may hold a million
// records. They are never all in memory at once, and those for which there is no room
// are removed.

// maxOpenAlerts is how many alerts of one host are taken over at a start. The rules open
// fewer than that.
const maxOpenAlerts = 10_000

// share says which records of a bucket are kept while it is read.
type share[T any] struct {
	// hostOf is the host's token in a key.
	hostOf func(key string) string
	// most is how many are kept of one host, all how many in total.
	most, all int
	// worse reports whether a record may go if there is no room for others; may be nil.
	worse func(*T) bool
	// see is given every record, kept or not; may be nil.
	see func(*T)

	count   map[string]int
	total   int
	spare   map[string][]string // keys of those that may go, by host
	skipped map[string]int      // how many were not kept, by host
}

func firstToken(key string) string { token, _, _ := strings.Cut(key, "."); return token }

// secondToken is the host in the key of an alert: <rule>.<host>.<group>.<process>.
func secondToken(key string) string {
	_, rest, _ := strings.Cut(key, ".")
	return firstToken(rest)
}

func stateShare(l state.Limits) *share[schema.ProcessRecord] {
	return &share[schema.ProcessRecord]{hostOf: firstToken, most: l.Processes, all: l.AllProcesses, worse: func(s *schema.ProcessRecord) bool { return s.Gone != nil }}
}

func hostShare(l state.Limits) *share[schema.HostRecord] {
	return &share[schema.HostRecord]{hostOf: func(string) string { return "" }, most: l.Hosts, all: l.Hosts}
}

func alertShare(l state.Limits) *share[schema.Alert] {
	return &share[schema.Alert]{hostOf: secondToken, most: maxOpenAlerts, all: l.AllProcesses, worse: func(a *schema.Alert) bool { return a.Phase == schema.PhaseResolved }}
}

// add reports whether a record is kept, and the key of one that goes instead.
func (s *share[T]) add(key string, v *T) (instead string, kept bool) {
	if s.count == nil {
		s.count, s.spare, s.skipped = map[string]int{}, map[string][]string{}, map[string]int{}
	}
	if s.see != nil {
		s.see(v)
	}
	host := s.hostOf(key)
	worse := s.worse != nil && s.worse(v)
	if s.count[host] >= s.most || s.total >= s.all {
		s.skipped[host]++
		spare := s.spare[host]
		if worse || len(spare) == 0 {
			return "", false
		}
		s.spare[host] = spare[:len(spare)-1]
		return spare[len(spare)-1], true
	}
	s.count[host]++
	s.total++
	if worse {
		s.spare[host] = append(s.spare[host], key)
	}
	return "", true
}

// restored is what the buckets hold.
type restored struct {
	states     map[string]*schema.ProcessRecord
	hosts      map[string]*schema.HostRecord
	alerts     map[string]*schema.Alert
	stateShare *share[schema.ProcessRecord]
	alertShare *share[schema.Alert]

	stateBucket *bucket[schema.ProcessRecord]
	hostBucket  *bucket[schema.HostRecord]
	alertBucket *bucket[schema.Alert]
}

// openBuckets reads the records, within the limits.
func (v *events) openBuckets(ctx context.Context) (*restored, error) {
	limits := v.plan.cfg.Limits.Fleet()
	r := &restored{stateShare: stateShare(limits), alertShare: alertShare(limits)}
	var err error
	if r.stateBucket, r.states, err = openBucket(ctx, v.js, stream.StateBucket, r.stateShare, v.log); err != nil {
		return nil, err
	}
	hosts := hostShare(limits)
	if r.hostBucket, r.hosts, err = openBucket(ctx, v.js, stream.HostsBucket, hosts, v.log); err != nil {
		return nil, err
	}
	if n := hosts.skipped[""]; n > 0 {
		v.log.Error().Int("hosts", n).Int("limit", limits.Hosts).Msg("there are more hosts than limits.hosts allows; nothing of the others is read")
	}
	if r.alertBucket, r.alerts, err = openBucket(ctx, v.js, stream.AlertsBucket, r.alertShare, v.log); err != nil {
		return nil, err
	}
	return r, v.removeSurplus(ctx, r)
}
