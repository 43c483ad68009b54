package app

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// headerSignature is the header of a notification by which the daemon knows its own. A
// host whose consumer may deliver anywhere can leave messages in the stream of alerts,
// with any subject, id and text, but it cannot read the key.
const headerSignature = "Supernats-Signature"

// signatureKey is where the key lies in the bucket of leases. Every daemon on the same
// NATS has the same.
const signatureKey = "signature"

// signer knows the notifications of this installation.
type signer struct{ key []byte }

// newSigner reads the key, and makes one where there is none.
func newSigner(ctx context.Context, js jetstream.JetStream) (*signer, error) {
	kv, err := js.KeyValue(ctx, stream.LeasesBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	for {
		e, err := kv.Get(ctx, signatureKey)
		if err == nil {
			return &signer{e.Value()}, nil
		}
		if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil, fmt.Errorf("read %s of bucket %s: %w", signatureKey, stream.LeasesBucket, err)
		}
		key := rand.Text()
		if _, err := kv.Create(ctx, signatureKey, []byte(key)); err == nil {
			return &signer{[]byte(key)}, nil
		} else if !errors.Is(err, jetstream.ErrKeyExists) { // another daemon was faster
			return nil, fmt.Errorf("write %s of bucket %s: %w", signatureKey, stream.LeasesBucket, err)
		}
	}
}

// sign puts the signature on a message.
func (s *signer) sign(m *nats.Msg) { m.Header.Set(headerSignature, s.of(m.Subject, m.Header, m.Data)) }

// isOurs reports whether a stored message is one that a daemon has signed.
func (s *signer) isOurs(m *jetstream.RawStreamMsg) bool {
	return hmac.Equal([]byte(m.Header.Get(headerSignature)), []byte(s.of(m.Subject, m.Header, m.Data)))
}

func (s *signer) of(subject string, h nats.Header, data []byte) string {
	mac := hmac.New(sha256.New, s.key)
	for _, part := range []string{subject, h.Get(headerID), h.Get(headerSeq)} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil))
}
