package stream

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// DuplicateWindow is how long the streams that are created here remember a Nats-Msg-Id.
const DuplicateWindow = 10 * time.Minute

const day = 24 * time.Hour

// Levels of the JetStream API from which on a server can do something
// (nats-server/server/jetstream_versioning.go).
const (
	levelMsgTTL       = 1 // 2.11
	levelBatchPublish = 4 // 2.14
)

// EventsConfig returns the settings of the stream Events, for a level of the server's
// JetStream API.
func EventsConfig(limits Limits, level int) jetstream.StreamConfig {
	c := logConfig(Events, limits, 30*day, AllEvents, AllSnapshots, AllBridges, AllAcks)
	c.Description = "Events of Supervisor, published by supernats-bridge"
	c.Compression = jetstream.S2Compression
	c.AllowMsgTTL = level >= levelMsgTTL
	c.AllowBatchPublish = level >= levelBatchPublish
	return c
}

// AlertsConfig returns the settings of the stream Alerts.
func AlertsConfig(limits Limits) jetstream.StreamConfig {
	c := logConfig(Alerts, limits, 90*day, AllAlerts)
	c.Description = "Notifications of supernats, one message each"
	return c
}

// ParkedConfig returns the settings of the stream Parked.
func ParkedConfig(limits Limits) jetstream.StreamConfig {
	c := logConfig(Parked, limits, 90*day, parkedPrefix+"*")
	c.Description = "What a consumer of supernats gave up, with the reason"
	return c
}

// Configs returns the settings of all streams, in the order of Names.
func Configs(limits Limits, level int) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		EventsConfig(limits, level), AlertsConfig(limits), ParkedConfig(limits),
		bucketConfig(StateBucket, limits, 16, time.Hour, "The state of every process"),
		bucketConfig(HostsBucket, limits, 1, time.Hour, "What is known of every host"),
		bucketConfig(AlertsBucket, limits, 1, time.Hour, "Alerts that are open"),
		// A bucket with a time to live for its markers may have keys with one of their own.
		bucketConfig(MutesBucket, limits, 1, time.Minute, "Silences"),
		bucketConfig(LeasesBucket, limits, 1, time.Second, "The active supernats consume"),
	}
}

// config returns the settings of one stream.
func (l Limits) config(name string, level int) jetstream.StreamConfig {
	for _, c := range Configs(l, level) {
		if c.Name == name {
			return c
		}
	}
	return jetstream.StreamConfig{Name: name}
}

func logConfig(name string, limits Limits, maxAge time.Duration, subjects ...string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: name, Subjects: subjects, Replicas: limits.Replicas,
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxBytes: limits.Bytes(name), MaxAge: maxAge, Duplicates: DuplicateWindow, AllowDirect: true,
	}
}

// bucketConfig returns the settings that a key-value bucket has for the server
// (nats.go/jetstream kv.go), with one difference: a full one drops its oldest record. That
// is of the process that has not changed for longest, and the next snapshot brings it back;
// a bucket that refused new records would stop the work for all hosts.
func bucketConfig(
	bucket string, limits Limits, history int64, markerTTL time.Duration, description string,
) jetstream.StreamConfig {
	name := OfBucket(bucket)
	return jetstream.StreamConfig{
		Name: name, Subjects: []string{StoredKey(bucket, ">")}, Description: description, Replicas: limits.Replicas,
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxMsgsPerSubject: history, MaxMsgs: -1, MaxConsumers: -1, MaxMsgSize: -1, MaxBytes: limits.Bytes(name),
		Duplicates: 2 * time.Minute, AllowRollup: true, DenyDelete: true, AllowDirect: true,
		AllowMsgTTL: markerTTL > 0, SubjectDeleteMarkerTTL: markerTTL,
	}
}
