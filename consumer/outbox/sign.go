package outbox

import (
	"bytes"
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

// HeaderSignature is the header of a notification by which the daemon knows its own. A
// host whose consumer may deliver anywhere can leave messages in the stream of alerts,
// with any subject, id and text, but it cannot read the key.
const HeaderSignature = "Supernats-Signature"

// SignatureKey is where the key lies in the bucket of leases. Every daemon on the same
// NATS has the same.
const SignatureKey = "signature"

// Signer knows the notifications of this installation.
type Signer struct {
	key []byte
	// before is the key by which this process signed before, if that was another one.
	before []byte
}

// OpenSigner reads the key, and makes one where there is none. was is what this process
// had, or nil: a key that vanished with its bucket is stored again, and what was signed
// with one that somebody has replaced is still ours. Otherwise a notification that the
// stream already has would be taken for somebody else's, and people would be notified
// twice.
func OpenSigner(ctx context.Context, js jetstream.JetStream, was *Signer) (*Signer, error) {
	kv, err := js.KeyValue(ctx, stream.LeasesBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	for {
		e, err := kv.Get(ctx, SignatureKey)
		if err == nil {
			return was.replacedBy(e.Value()), nil
		}
		if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil, fmt.Errorf("read %s of bucket %s: %w", SignatureKey, stream.LeasesBucket, err)
		}

		key := []byte(rand.Text())
		if was != nil {
			key = was.key
		}
		_, err = kv.Create(ctx, SignatureKey, key)
		if err == nil {
			return was.replacedBy(key), nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) { // another daemon was faster
			return nil, fmt.Errorf("write %s of bucket %s: %w", SignatureKey, stream.LeasesBucket, err)
		}
	}
}

// replacedBy returns the signer with a key, which may be the same; s may be nil.
func (s *Signer) replacedBy(key []byte) *Signer {
	switch {
	case s == nil:
		return &Signer{key: key}
	case bytes.Equal(s.key, key):
		return s
	}
	return &Signer{key: key, before: s.key}
}

// sign puts the signature on a message.
func (s *Signer) sign(m *nats.Msg) {
	m.Header.Set(HeaderSignature, signature(s.key, m.Subject, m.Header, m.Data))
}

// IsOurs reports whether a stored message is one that a daemon has signed.
func (s *Signer) IsOurs(m *jetstream.RawStreamMsg) bool {
	signed := []byte(m.Header.Get(HeaderSignature))
	for _, key := range [][]byte{s.key, s.before} {
		if len(key) > 0 && hmac.Equal(signed, []byte(signature(key, m.Subject, m.Header, m.Data))) {
			return true
		}
	}
	return false
}

func signature(key []byte, subject string, h nats.Header, data []byte) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{subject, h.Get(HeaderID), h.Get(HeaderSeq)} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil))
}
