package record

import (
	"fmt"

	"github.com/nats-io/nats.go"

	"supernats/bridge/publish"
	"supernats/schema/stream"
)

// What is too large for one message is made smaller when it is published, since the
// limit is that of then. In this order:
//
//   - the process table is divided into parts,
//   - of an event the log tails are shortened, from their beginning, then the texts
//     beside its data, and its data is divided into parts,
//   - of a record of the bridge the longest texts and lists are shortened.
//
// Names, numbers and ids stay: what does not fit with those alone is not published, and is
// reported.

const (
	// partRoom is more than `,"part":N,"parts":N` and two "/N" in the ids take.
	partRoom = 128
	// minShare is the least of an event's data that a part holds.
	minShare = 256
	// headerRoom is more than the headers of most messages take: their exact size
	// takes as long to find out as an event to be encoded.
	headerRoom = 4 << 10
	// minText is what is left of a text that is shortened.
	minText = 64
	// manyFields is more than an object has whose fields are not data themselves.
	manyFields = 16
)

// sentRoom is what the publisher adds: the time of sending, and what makes another
// message id of one that was taken.
const sentRoom = len(stream.HeaderSent) + len(": 2026-11-21T19:00:31.833512Z\r\n") + publish.AgainRoom

// messageSize is the size of a message as a server counts it.
func messageSize(m *nats.Msg) int {
	n := len("NATS/1.0\r\n\r\n") + sentRoom + len(m.Data)
	for name, values := range m.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

// errTooLarge is the error of what does not become as small as it has to.
func errTooLarge(what string, size, limit int) error {
	return fmt.Errorf("%w: %s needs %d bytes, more than the %d that are allowed "+
		"(max_payload of the server, max_msg_size of the stream)",
		publish.ErrTooLarge, what, size, limit)
}
