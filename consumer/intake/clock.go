package intake

import (
	"errors"
	"time"
)

const (
	// settled is how long a message may be stored before its consumer knows of it.
	settled = 50 * time.Millisecond
	// maxLate is how long what the server has sent may be on its way.
	maxLate = 2 * time.Second
)

// errLate ends reading when what the server has sent does not come: it went into a
// connection, or a request, that is no more.
var errLate = errors.New("messages that were sent have not arrived; they are read again")

// clock is the server's, as far as this process knows it. Ours may be wrong.
type clock struct {
	// skew is how far the server's clock is ahead of ours.
	skew time.Duration
	// waiting is since when messages that were sent have not arrived, by the server's
	// clock; zero if none are missing.
	waiting time.Time
}

// set says what time it is now.
func (c *clock) set(now time.Time) { c.skew = time.Until(now) }

func (c *clock) now() time.Time { return time.Now().Add(c.skew) }

// until is how long it takes until messages of a time have been read.
func (c *clock) until(at time.Time) time.Duration { return time.Until(at.Add(settled - c.skew)) }

// arrived says that no message is missing.
func (c *clock) arrived() { c.waiting = time.Time{} }

// miss says that messages were sent and are missing. The error is errLate.
func (c *clock) miss(now time.Time) error {
	if c.waiting.IsZero() {
		c.waiting = now
	}
	if now.Sub(c.waiting) > maxLate {
		return errLate
	}
	return nil
}
