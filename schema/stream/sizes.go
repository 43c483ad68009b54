package stream

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
)

const (
	mib = 1 << 20
	gib = 1 << 30
	// minBytes is the smallest size that a stream gets unless another one is written.
	minBytes = mib
)

// Sizes bound each stream and bucket; 0 is the default.
type Sizes struct {
	Events       schema.Size `yaml:"SUPERVISOR"`
	Alerts       schema.Size `yaml:"SUPERVISOR_ALERTS"`
	Parked       schema.Size `yaml:"SUPERVISOR_PARKED"`
	StateBucket  schema.Size `yaml:"supervisor_state"`
	HostsBucket  schema.Size `yaml:"supervisor_hosts"`
	AlertsBucket schema.Size `yaml:"supervisor_alerts"`
	MutesBucket  schema.Size `yaml:"supervisor_mutes"`
	LeasesBucket schema.Size `yaml:"supervisor_leases"`
}

// besideEvents are the default sizes of the other streams: 1 GiB together, a quarter of the
// 4 GiB of the stream Events.
var besideEvents = map[string]int64{
	Alerts: 256 * mib,
	Parked: 128 * mib,
	// Some 600,000 processes, or 60,000 with all of their history.
	bucketPrefix + StateBucket:  512 * mib,
	bucketPrefix + HostsBucket:  32 * mib,
	bucketPrefix + AlertsBucket: 64 * mib,
	bucketPrefix + MutesBucket:  16 * mib,
	bucketPrefix + LeasesBucket: 16 * mib,
}

// Limits are what an installation may choose of the streams that are created.
type Limits struct {
	// Replicas of each stream and bucket, 1 to 5.
	Replicas int
	// EventBytes bounds the stream Events if Sizes does not. The other streams together
	// have a quarter of it, 1 GiB at most.
	EventBytes int64
	Sizes      Sizes
	// Report, if not nil, gets a sentence about each stream that is not created as asked.
	Report func(text string)

	// fitted are sizes for what this account may store.
	fitted map[string]int64
}

// DefaultLimits are those of one server.
func DefaultLimits() Limits { return Limits{Replicas: 1, EventBytes: 4 * gib} }

// Written returns the size that is set for a stream, 0 if none is.
func (s Sizes) Written(name string) int64 {
	sizes := map[string]schema.Size{
		Events:                      s.Events,
		Alerts:                      s.Alerts,
		Parked:                      s.Parked,
		bucketPrefix + StateBucket:  s.StateBucket,
		bucketPrefix + HostsBucket:  s.HostsBucket,
		bucketPrefix + AlertsBucket: s.AlertsBucket,
		bucketPrefix + MutesBucket:  s.MutesBucket,
		bucketPrefix + LeasesBucket: s.LeasesBucket,
	}
	return int64(sizes[name])
}

// Bytes returns the size of a stream.
func (l Limits) Bytes(name string) int64 {
	if n := l.Sizes.Written(name); n > 0 {
		return n
	}
	if n := l.fitted[name]; n > 0 {
		return n
	}
	if name == Events {
		return l.EventBytes
	}
	n := besideEvents[name]
	if l.EventBytes < 4*gib {
		n = max(minBytes, int64(float64(n)*float64(l.EventBytes)/(4*gib)))
	}
	return n
}

// Total returns what all streams may take.
func (l Limits) Total() (total int64) {
	for _, name := range Names() {
		total += l.Bytes(name)
	}
	return total
}

func (l Limits) reportf(format string, args ...any) {
	if l.Report != nil {
		l.Report(fmt.Sprintf(format, args...))
	}
}

// fitAccount makes the sizes that are not set so small that the account has room for all
// missing streams. A tenth stays free for others.
func (l Limits) fitAccount(info *jetstream.AccountInfo, missing []string) Limits {
	tier, tiered := tierOf(info, l.Replicas)
	fitted := map[string]int64{}
	if most := tier.Limits.StoreMaxStreamBytes; most > 0 {
		for _, name := range missing {
			if l.Sizes.Written(name) == 0 {
				fitted[name] = min(l.Bytes(name), most)
			}
		}
	}
	l.fitted = fitted
	if tier.Limits.MaxStore <= 0 {
		return l
	}

	room := max(0, tier.Limits.MaxStore-int64(max(tier.ReservedStore, tier.Store))) * 9 / 10
	if !tiered { // each replica counts
		room /= int64(l.Replicas)
	}
	var wanted int64
	open := map[string]int64{} // the streams whose size may be chosen here
	for _, name := range missing {
		if n := l.Sizes.Written(name); n > 0 {
			room -= n
		} else {
			open[name] = l.Bytes(name)
			wanted += open[name]
		}
	}
	if wanted > room {
		l.fitted = divide(max(0, room), open)
	}
	return l
}

// divide makes sizes smaller in proportion, so that there is room for all. None becomes
// smaller than minBytes.
func divide(room int64, wanted map[string]int64) map[string]int64 {
	fitted := map[string]int64{}
	bySize := func(a, b string) int { return cmp.Compare(wanted[a], wanted[b]) }
	names := slices.SortedFunc(maps.Keys(wanted), bySize)
	var open int64
	for _, n := range wanted {
		open += n
	}

	for _, name := range names { // those that get minBytes come first
		n := wanted[name]
		fitted[name] = wholeMiB(int64(float64(n) * float64(room) / float64(open)))
		room = max(0, room-fitted[name])
		open -= n
	}
	return fitted
}

// wholeMiB rounds a size down, so that people can read it.
func wholeMiB(bytes int64) int64 { return max(minBytes, bytes/mib*mib) }

// tierOf returns the limits for streams with a number of replicas.
func tierOf(info *jetstream.AccountInfo, replicas int) (tier jetstream.Tier, tiered bool) {
	if t, ok := info.Tiers[fmt.Sprintf("R%d", replicas)]; ok {
		return t, true
	}
	return info.Tier, false
}
