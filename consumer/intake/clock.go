package intake

import (
	"errors"
	"time"
)

const (
	// settled is how long after it was stored a message may be unknown to its consumer.
	settled = 50 * time.Millisecond
	// maxLate is how long messages may take from the server to this process.
	maxLate = 2 * time.Second
)

// errLate ends a reading when messages that the server has sent do not arrive: they went
// into a connection, or a request, that no longer exists.
var errLate = errors.New("messages that were sent have not arrived; they are read again")

// clock estimates the time of the server. Ours may be wrong.
type clock struct {
	// skew is how far the server's clock is ahead of ours.
	skew time.Duration
	// waiting is when messages were first missing, by the server's clock; zero if none is.
	waiting time.Time
}

// setTime sets the time of the server.
func (c *clock) setTime(now time.Time) { c.skew = time.Until(now) }

func (c *clock) now() time.Time { return time.Now().Add(c.skew) }

// untilReadable returns how long to wait until all messages up to a time can be read.
func (c *clock) untilReadable(at time.Time) time.Duration {
	return time.Until(at.Add(settled - c.skew))
}

// noteArrived records that no message is missing.
func (c *clock) noteArrived() { c.waiting = time.Time{} }

// noteMissing records that messages are missing, and returns errLate if that lasts.
func (c *clock) noteMissing(now time.Time) error {
	if c.waiting.IsZero() {
		c.waiting = now
	}
	if now.Sub(c.waiting) > maxLate {
		return errLate
	}
	return nil
}
