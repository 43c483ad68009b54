package alertcmd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/inspect"
	"supernats/schema"
	"supernats/schema/stream"
)

// storeMute gives a silence an id and stores it.
func storeMute(ctx context.Context, r *inspect.Reader, mute *schema.Mute) error {
	kv, err := r.OpenBucket(ctx, stream.MutesBucket)
	if err != nil {
		return err
	}

	lasts := mute.Expires.Sub(mute.Created.Time)
	for {
		mute.ID = newMuteID(mute.Created.Time)
		value, err := schema.Marshal(mute)
		if err != nil {
			return err
		}
		_, err = kv.Create(ctx, mute.ID, value, jetstream.KeyTTL(lasts))
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) { // another one of the same second
			return fmt.Errorf("store the silence in bucket %s: %w", stream.MutesBucket, err)
		}
	}
}

// muteDigits are in the order of ASCII, so ids are in the order of their times.
const muteDigits = "0123456789abcdefghijklmnopqrstuv"

// newMuteID returns ten letters and digits that sort by time: seconds, and fifteen random
// bits that distinguish two ids of one second.
func newMuteID(at time.Time) string {
	var random [2]byte
	_, _ = rand.Read(random[:]) // it never fails

	n := uint64(at.Unix())<<15 | uint64(random[0]&0x7f)<<8 | uint64(random[1])
	id := make([]byte, 10)
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = muteDigits[n&31]
		n >>= 5
	}
	return string(id)
}
