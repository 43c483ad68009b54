// Package stream names the JetStream streams and buckets of supernats, holds
// their settings, and creates what is missing. It never changes what exists:
// limits belong to the operator.
package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
)

// Names of the streams and buckets.
const (
	// Events holds supervisor's events, snapshots and the bridges' records, in
	// one order for each host.
	Events = "SUPERVISOR"
	// Alerts holds every notification, for the receivers to read.
	Alerts = "SUPERVISOR_ALERTS"
	// Parked holds messages that a consumer gave up, with the reason.
	Parked = "SUPERVISOR_PARKED"
	// StateBucket holds <host>.<group>.<process> -> schema.State.
	StateBucket = "supervisor_state"
	// HostsBucket holds <host> -> schema.Host.
	HostsBucket = "supervisor_hosts"
	// AlertsBucket holds <rule>.<host>.<group>.<process> -> schema.OpenAlert.
	AlertsBucket = "supervisor_alerts"
	// MutesBucket holds an id -> schema.Mute until it expires.
	MutesBucket = "supervisor_mutes"
	// LeasesBucket holds who of several consumers is the active one.
	LeasesBucket = "supervisor_leases"
)

// Subjects that the streams listen on.
const (
	AllEvents    = schema.EventPrefix + ">"
	AllSnapshots = schema.SnapshotPrefix + "*"
	AllBridges   = schema.BridgePrefix + ">"
	AllAlerts    = schema.AlertPrefix + ">"
	parkedPrefix = "supervisor.parked."
)

// Headers beside those of NATS itself.
const (
	HeaderContentType = "Content-Type"
	HeaderTTL         = jetstream.MsgTTLHeader
	// HeaderSent is the host's clock when its bridge sent the message: RFC 3339 with
	// microseconds, UTC.
	HeaderSent = "Supernats-Sent"
)

// DuplicateWindow is how long a Nats-Msg-Id is remembered by the streams that
// are created here.
const DuplicateWindow = 10 * time.Minute

const (
	day = 24 * time.Hour
	gib = 1 << 30
)

// Levels of the JetStream API at which the server can do more
// (nats-server/server/jetstream_versioning.go).
const (
	levelMsgTTL       = 1 // 2.11
	levelBatchPublish = 4 // 2.14
)

// ParkedSubject is where a durable consumer parks what it gave up.
func ParkedSubject(durable string) string { return parkedPrefix + durable }

// Limits are what an installation may choose of the streams that are created.
type Limits struct {
	// Replicas of each stream and bucket, 1 to 5.
	Replicas int
	// EventBytes bounds the stream Events.
	EventBytes int64
}

// DefaultLimits are those of one server.
func DefaultLimits() Limits { return Limits{Replicas: 1, EventBytes: 4 * gib} }

// EventsConfig are the settings of the stream Events on a server whose
// JetStream API has a level.
func EventsConfig(limits Limits, level int) jetstream.StreamConfig {
	c := logConfig(Events, limits.Replicas, 30*day, AllEvents, AllSnapshots, AllBridges)
	c.Description = "Events of Supervisor, published by supernats-bridge"
	c.MaxBytes = limits.EventBytes
	c.Compression = jetstream.S2Compression
	c.AllowMsgTTL = level >= levelMsgTTL
	c.AllowBatchPublish = level >= levelBatchPublish
	return c
}

// AlertsConfig are the settings of the stream Alerts.
func AlertsConfig(replicas int) jetstream.StreamConfig {
	c := logConfig(Alerts, replicas, 90*day, AllAlerts)
	c.Description = "Notifications of supernats, one message each"
	return c
}

// ParkedConfig are the settings of the stream Parked.
func ParkedConfig(replicas int) jetstream.StreamConfig {
	c := logConfig(Parked, replicas, 90*day, parkedPrefix+"*")
	c.Description = "What a consumer of supernats gave up, with the reason"
	return c
}

func logConfig(name string, replicas int, maxAge time.Duration, subjects ...string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: name, Subjects: subjects, Replicas: replicas,
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: maxAge, Duplicates: DuplicateWindow, AllowDirect: true,
	}
}

// EnsureEvents creates the stream Events if it is missing.
func EnsureEvents(ctx context.Context, js jetstream.JetStream, limits Limits) error {
	return ensure(ctx, js, Events, func() (jetstream.StreamConfig, error) {
		info, err := js.AccountInfo(ctx)
		if err != nil {
			return jetstream.StreamConfig{}, fmt.Errorf("ask for the level of the JetStream API: %w", err)
		}
		return EventsConfig(limits, info.API.Level), nil
	})
}

// EnsureAll creates every stream and bucket that is missing.
func EnsureAll(ctx context.Context, js jetstream.JetStream, limits Limits) error {
	if err := EnsureEvents(ctx, js, limits); err != nil {
		return err
	}
	for _, c := range []jetstream.StreamConfig{AlertsConfig(limits.Replicas), ParkedConfig(limits.Replicas)} {
		if err := ensure(ctx, js, c.Name, func() (jetstream.StreamConfig, error) { return c, nil }); err != nil {
			return err
		}
	}
	for _, c := range []jetstream.KeyValueConfig{
		{Bucket: StateBucket, History: 16, Description: "The state of every process"},
		{Bucket: HostsBucket, History: 1, Description: "What is known of every host"},
		{Bucket: AlertsBucket, History: 1, Description: "Alerts that are open"},
		// With a limit for markers a key may have a TTL of its own.
		{Bucket: MutesBucket, History: 1, LimitMarkerTTL: time.Minute, Description: "Silences"},
		{Bucket: LeasesBucket, History: 1, LimitMarkerTTL: time.Second, Description: "The active supernats consume"},
	} {
		c.Replicas = limits.Replicas
		if err := ensureBucket(ctx, js, c); err != nil {
			return err
		}
	}
	return nil
}

func ensure(ctx context.Context, js jetstream.JetStream, name string, config func() (jetstream.StreamConfig, error)) error {
	_, err := js.Stream(ctx, name)
	if err == nil {
		return nil
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("look up stream %s: %w", name, err)
	}
	c, err := config()
	if err != nil {
		return fmt.Errorf("create stream %s: %w", name, err)
	}
	// Another program may have been faster, with other limits: those stay.
	if _, err = js.CreateStream(ctx, c); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("create stream %s: %w", name, err)
	}
	return nil
}

func ensureBucket(ctx context.Context, js jetstream.JetStream, c jetstream.KeyValueConfig) error {
	_, err := js.KeyValue(ctx, c.Bucket)
	if err == nil {
		return nil
	}
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return fmt.Errorf("look up bucket %s: %w", c.Bucket, err)
	}
	if _, err = js.CreateKeyValue(ctx, c); err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("create bucket %s: %w", c.Bucket, err)
	}
	return nil
}
