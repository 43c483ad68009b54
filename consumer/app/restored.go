package app

import (
	"context"
	"strings"

	"supernats/consumer/records"
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

func firstToken(key string) string { token, _, _ := strings.Cut(key, "."); return token }

// secondToken is the host in the key of an alert: <rule>.<host>.<group>.<process>.
func secondToken(key string) string {
	_, rest, _ := strings.Cut(key, ".")
	return firstToken(rest)
}

func stateShare(l state.Limits) *records.Share[schema.ProcessRecord] {
	return &records.Share[schema.ProcessRecord]{HostOf: firstToken, PerHost: l.Processes, All: l.AllProcesses, IsSpare: func(s *schema.ProcessRecord) bool { return s.Gone != nil }}
}

func hostShare(l state.Limits) *records.Share[schema.HostRecord] {
	return &records.Share[schema.HostRecord]{HostOf: func(string) string { return "" }, PerHost: l.Hosts, All: l.Hosts}
}

func alertShare(l state.Limits) *records.Share[schema.Alert] {
	return &records.Share[schema.Alert]{HostOf: secondToken, PerHost: maxOpenAlerts, All: l.AllProcesses, IsSpare: func(a *schema.Alert) bool { return a.Phase == schema.PhaseResolved }}
}

// restored is what the buckets hold.
type restored struct {
	states     map[string]*schema.ProcessRecord
	hosts      map[string]*schema.HostRecord
	alerts     map[string]*schema.Alert
	stateShare *records.Share[schema.ProcessRecord]
	alertShare *records.Share[schema.Alert]

	stateBucket *records.Bucket[schema.ProcessRecord]
	hostBucket  *records.Bucket[schema.HostRecord]
	alertBucket *records.Bucket[schema.Alert]
}

// openBuckets reads the records, within the limits.
func (v *events) openBuckets(ctx context.Context) (*restored, error) {
	limits := v.plan.cfg.Limits.Fleet()
	r := &restored{stateShare: stateShare(limits), alertShare: alertShare(limits)}
	var err error
	if r.stateBucket, r.states, err = records.Open(ctx, v.js, stream.StateBucket, r.stateShare, v.log); err != nil {
		return nil, err
	}
	hosts := hostShare(limits)
	if r.hostBucket, r.hosts, err = records.Open(ctx, v.js, stream.HostsBucket, hosts, v.log); err != nil {
		return nil, err
	}
	if n := hosts.Skipped(""); n > 0 {
		v.log.Error().Int("hosts", n).Int("limit", limits.Hosts).Msg("there are more hosts than limits.hosts allows; nothing of the others is read")
	}
	if r.alertBucket, r.alerts, err = records.Open(ctx, v.js, stream.AlertsBucket, r.alertShare, v.log); err != nil {
		return nil, err
	}
	return r, v.removeSurplus(ctx, r)
}
