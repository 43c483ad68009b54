package silences

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// ErrNone says that no silence of an id is in force.
var ErrNone = errors.New("no such silence is in force")

// Check returns what is wrong with a silence that somebody asks for: everything but its id
// and its times is as it will be stored.
func Check(m *schema.Mute) error {
	for _, list := range []struct {
		name  string
		globs []string
	}{{"host", m.Hosts}, {"group", m.Groups}, {"process", m.Processes}, {"rule", m.Rules}} {
		for _, glob := range list.globs {
			if _, err := schema.ParseGlob(glob); err != nil {
				return fmt.Errorf("%s: %w", list.name, err)
			}
		}
	}
	if strings.TrimSpace(m.Comment) == "" {
		return errors.New("comment: missing: say why, for those who wonder why nobody was notified")
	}
	if !m.Expires.After(m.Created.Time) {
		return errors.New("the silence ends before it begins: want a duration above zero")
	}
	return nil
}

// RoundExpiry returns when a silence ends that begins now and lasts for some time: NATS
// counts whole seconds, and cuts off the rest.
func RoundExpiry(now time.Time, lasts time.Duration) schema.Time {
	return schema.Time{Time: now.Add((lasts + time.Second - 1).Truncate(time.Second))}
}

// Store gives a silence an id and stores it.
func Store(ctx context.Context, kv jetstream.KeyValue, m *schema.Mute) error {
	lasts := m.Expires.Sub(m.Created.Time)
	for {
		m.ID = newID(m.Created.Time)
		value, err := schema.Marshal(m)
		if err != nil {
			return err
		}
		_, err = kv.Create(ctx, m.ID, value, jetstream.KeyTTL(lasts))
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) { // another one of the same second
			return fmt.Errorf("store the silence in bucket %s: %w", stream.MutesBucket, err)
		}
	}
}

// markerTTL is how long the marker of a silence that was ended stays in the bucket.
const markerTTL = time.Minute

// End ends a silence; the error is ErrNone if none of that id is in force.
func End(ctx context.Context, kv jetstream.KeyValue, id string) error {
	e, err := kv.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return ErrNone
	}
	if err != nil {
		return fmt.Errorf("look up silence %s: %w", id, err)
	}

	// NATS itself purges a silence that expires. The marker of the purge expires too.
	if err := kv.Purge(ctx, id, jetstream.LastRevision(e.Revision()), jetstream.PurgeTTL(markerTTL)); err != nil {
		return fmt.Errorf("end silence %s: %w", id, err)
	}
	return nil
}

// digits are in the order of ASCII, so ids are in the order of their times.
const digits = "0123456789abcdefghijklmnopqrstuv"

// newID returns ten letters and digits that sort by time: seconds, and fifteen random
// bits that distinguish two ids of one second.
func newID(at time.Time) string {
	var random [2]byte
	_, _ = rand.Read(random[:]) // it never fails

	n := uint64(at.Unix())<<15 | uint64(random[0]&0x7f)<<8 | uint64(random[1])
	id := make([]byte, 10)
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = digits[n&31]
		n >>= 5
	}
	return string(id)
}
