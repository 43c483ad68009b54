package stream

import (
	"strings"

	"supernats/schema"
)

const (
	// bucketPrefix begins the name of the stream of a bucket, keyPrefix the subject of a
	// key (nats.go/jetstream kv.go).
	bucketPrefix = "KV_"
	keyPrefix    = "$KV."
	// receiverPrefix begins the names of the consumers of receivers, see ReceiverConsumer.
	receiverPrefix = "notify_"
	bridgePrefix   = "bridge_"
)

// EventsConsumer is the consumer of the stream Events under which the server remembers
// what `supernats consume` has seen.
const EventsConsumer = "supernats"

// Keys in the bucket of leases. The others in it are names of receivers' consumers, and
// hold how far each has delivered.
const (
	// LeaseKey holds a LeaseRecord while an instance is active.
	LeaseKey = "consume"
	// RosterKey holds a RosterRecord.
	RosterKey = "receivers"
)

// BridgeConsumer is the consumer by which the bridges of a host find out what the stream
// of events has of them.
func BridgeConsumer(host string) string { return bridgePrefix + schema.Token(host) }

// ReceiverConsumer is the consumer of the stream Alerts that is the queue of a receiver
// ("mail/ops@example.com"): upper and lower case make no difference.
func ReceiverConsumer(receiver string) string {
	return schema.Token(receiverPrefix + strings.ToLower(receiver))
}

// ReceiverOf returns the receiver whose queue a consumer of the stream Alerts is; ok is
// false for other consumers. Of a name that was too long for a token it is the token.
func ReceiverOf(consumer string) (receiver string, ok bool) {
	if !strings.HasPrefix(consumer, receiverPrefix) {
		return "", false
	}
	name, err := schema.ParseToken(consumer)
	if err != nil {
		name = consumer
	}
	return strings.TrimPrefix(name, receiverPrefix), true
}

// OfBucket is the name of the stream that holds a bucket.
func OfBucket(bucket string) string { return bucketPrefix + bucket }

// BucketOf returns the bucket that a stream holds; ok is false if it holds none.
func BucketOf(name string) (bucket string, ok bool) { return strings.CutPrefix(name, bucketPrefix) }

// StoredKey is the subject under which a bucket's stream stores a key; wildcards stay
// what they are. To publish to it, see KeySubject.
func StoredKey(bucket, key string) string { return keyPrefix + bucket + "." + key }
