package stream

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Identity tells a stream, or the stream of a bucket, from another one of its name.
type Identity struct {
	Created time.Time
	Last    uint64 // sequence of the last message
}

// IdentityOf returns the identity of the stream that info describes.
func IdentityOf(info *jetstream.StreamInfo) Identity {
	return Identity{info.Created, info.State.LastSeq}
}

// Follows reports whether a stream can be the one that was seen before, some time later.
// A stream that was restored from a backup keeps its time of creation and has gone back.
func (i Identity) Follows(before Identity) bool {
	return i.Created.Equal(before.Created) && i.Last >= before.Last
}

// IsWrongLast reports whether a write was refused because the key or the stream holds a
// newer message than the write expects.
func IsWrongLast(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
