// Package ids is what the publisher does with message ids: it remembers them as hashes,
// and changes one where the stream would take our message for another one under the same
// id.
package ids

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// ID is a hash of a message id: an id is some 40 bytes, and after a lost checkpoint there
// may be a million of them.
type ID [16]byte

// Of returns the hash of a message id.
func Of(id string) ID {
	sum := sha256.Sum256([]byte(id))
	return ID(sum[:16])
}

// OfMessage returns the hash of a message's id.
func OfMessage(m *nats.Msg) ID { return Of(m.Header.Get(nats.MsgIdHdr)) }

// Set is a set of message ids.
type Set map[ID]struct{}

// Add puts an id into the set.
func (s Set) Add(id ID) { s[id] = struct{}{} }

// Has reports whether an id is in the set.
func (s Set) Has(id ID) bool {
	_, ok := s[id]
	return ok
}

const (
	againMark = "/again/"
	againRoom = len(againMark) + 16
)

// Room is how much longer a message id may become, in bytes: see Divisions.Note and
// Others.Make.
const Room = len("/of/9999999") + againRoom

// Others are the ids that messages are sent under instead of their own, which somebody
// else has used. They belong to the goroutine that publishes; only Make may be called by
// any.
type Others struct {
	secret [16]byte // set once
	inUse  map[ID]string
}

// NewOthers returns others, of which none is in use.
func NewOthers() Others {
	o := Others{inUse: map[ID]string{}}
	_, _ = rand.Read(o.secret[:]) // it never fails
	return o
}

// Make returns another id for a message, which nobody can foresee.
func (o *Others) Make(id string) string {
	sum := sha256.Sum256(append(o.secret[:], id...))
	return id + againMark + hex.EncodeToString(sum[:8])
}

// Use makes another id the one that a message is sent under.
func (o *Others) Use(id string) { o.inUse[Of(id)] = o.Make(id) }

// Get returns the id that a message is sent under instead, empty if it is its own.
func (o *Others) Get(id string) string {
	if len(o.inUse) == 0 {
		return ""
	}
	return o.inUse[Of(id)]
}

// Done says that the stream has the message, and returns what Get did.
func (o *Others) Done(id string) string {
	other := o.Get(id)
	delete(o.inUse, Of(id))
	return other
}

// WithoutAgain returns the id that Make was given.
func WithoutAgain(id string) string {
	i := len(id) - againRoom
	if i < 0 || id[i:i+len(againMark)] != againMark || strings.Trim(id[i+len(againMark):], "0123456789abcdef") != "" {
		return id
	}
	return id[:i]
}

// Divisions is into how many parts records were divided that are not acknowledged, by the
// id of their first part.
type Divisions map[ID]int

// Note notes into how many parts a record is divided, and returns the hash of the first
// one's id. If it is sent again in other parts than before, since limits have changed,
// those are not to be taken for the ones that the stream has: their message ids say how
// many they are.
func (d Divisions) Note(msgs []*nats.Msg) (first ID) {
	if len(msgs) == 1 && len(d) == 0 {
		return first
	}
	id := msgs[0].Header.Get(nats.MsgIdHdr)
	if len(msgs) == 1 {
		return Of(id + "/1")
	}

	first = Of(id)
	before, ok := d[first]
	if !ok {
		d[first] = len(msgs)
	}
	if ok && before != len(msgs) {
		for _, m := range msgs {
			m.Header[nats.MsgIdHdr] = []string{fmt.Sprintf("%s/of/%d", m.Header.Get(nats.MsgIdHdr), len(msgs))}
		}
	}
	return first
}
