// Package stream names the JetStream streams and buckets of supernats, holds
// their settings, and creates what is missing. Limits of what exists belong to the
// operator; only a stream of ours that has no size at all, as earlier versions made
// them, gets one.
//
// All of them are bounded and drop the oldest when they are full: what one host
// sends must not fill an account, for then nobody could write any more.
package stream

import (
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
	// StateBucket holds <host>.<group>.<process> -> schema.ProcessRecord.
	StateBucket = "supervisor_state"
	// HostsBucket holds <host> -> schema.HostRecord.
	HostsBucket = "supervisor_hosts"
	// AlertsBucket holds <rule>.<host>.<group>.<process> -> schema.Alert.
	AlertsBucket = "supervisor_alerts"
	// MutesBucket holds an id -> schema.Mute until it expires.
	MutesBucket = "supervisor_mutes"
	// LeasesBucket holds which of several `supernats consume` is the active one, and how
	// far it has delivered to each receiver.
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

// ParkedSubject is where a durable consumer parks what it gave up.
func ParkedSubject(durable string) string { return parkedPrefix + durable }

// Names are those of all streams, the ones of the buckets too.
func Names() []string {
	names := []string{Events, Alerts, Parked}
	for _, b := range []string{StateBucket, HostsBucket, AlertsBucket, MutesBucket, LeasesBucket} {
		names = append(names, OfBucket(b))
	}
	return names
}
