// Package stream names the JetStream streams, buckets and consumers of supernats, holds
// their settings, and creates what is missing. Settings of what exists belong to the
// operator.
//
// All streams and buckets are bounded, and drop the oldest message when they are full: what
// one host sends must not fill an account, because then nobody could write any more.
package stream

import (
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
)

// Names of the streams and buckets.
const (
	// Events holds supervisor's events, snapshots and the bridges' records, those of a host
	// in their order.
	Events = "SUPERVISOR"
	// Alerts holds every notification, for the receivers to read.
	Alerts = "SUPERVISOR_ALERTS"
	// Parked holds the messages that consumers have given up, with the reason.
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

// Subjects of the streams.
const (
	AllEvents    = schema.EventPrefix + ">"
	AllSnapshots = schema.SnapshotPrefix + "*"
	AllBridges   = schema.BridgePrefix + ">"
	AllAcks      = schema.AckPrefix + ">"
	AllAlerts    = schema.AlertPrefix + ">"
	parkedPrefix = "supervisor.parked."
)

// Headers of messages.
const (
	HeaderContentType = "Content-Type"
	HeaderTTL         = jetstream.MsgTTLHeader
	// HeaderSent is what the host's clock said when its bridge sent the message, see
	// schema.Stamp.
	HeaderSent = "Supernats-Sent"
)

// ParkedSubject is where a consumer publishes the messages that it has given up.
func ParkedSubject(durable string) string { return parkedPrefix + durable }

// Names returns the names of all streams, with those of the buckets.
func Names() []string {
	names := []string{Events, Alerts, Parked}
	for _, b := range []string{StateBucket, HostsBucket, AlertsBucket, MutesBucket, LeasesBucket} {
		names = append(names, OfBucket(b))
	}
	return names
}
