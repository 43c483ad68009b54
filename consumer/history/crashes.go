package history

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// crashPeriod is how far back crashes are counted, CrashParts in how many parts.
	crashPeriod = 24 * time.Hour
	CrashParts  = 48
	// crashesEvery is how often they are counted, firstEvery how often until all of the period
	// was counted once, crashesTimeout how long that may take: it continues the next time.
	crashesEvery   = 2 * time.Second
	firstEvery     = 250 * time.Millisecond
	crashesTimeout = 10 * time.Second
)

// crashSubjects have what schema.Event.IsCrash may be true of: all exits, and all deaths
// while starting.
var crashSubjects = [2]string{
	schema.EventPrefix + "*.*.*.process_state.exited",
	schema.EventPrefix + "*.*.*.process_state.backoff",
}

// CrashLog counts the crashes of the last 24 hours from the stream, as mails count them: each
// message is read once, and nothing while the stream holds no newer one. The zero value has
// counted none.
type CrashLog struct {
	mu sync.Mutex
	// counts are by the number of the part of time, as slotOf has it.
	counts map[int64]int
	// whole says that everything up to some time ago was counted.
	whole bool

	// The rest is Run's. next is the sequence from which on to read each of crashSubjects; 0:
	// from a day ago. seen is the stream up to the end of which all was counted.
	next     [len(crashSubjects)]uint64
	identity stream.Identity
	seen     uint64
}

// CrashPart is the length of one part.
const CrashPart = crashPeriod / CrashParts

func slotOf(t time.Time) int64 { return t.UnixNano() / int64(CrashPart) }

// Run counts until ctx ends. jetStream returns the connection, nil while there is none; failed
// gets the errors.
func (c *CrashLog) Run(ctx context.Context, jetStream func() jetstream.JetStream, failed func(error)) error {
	for {
		pause := firstEvery
		if js := jetStream(); js != nil {
			err := c.read(ctx, js)
			switch {
			case err == nil:
				pause = crashesEvery
			case ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded):
				failed(err)
				pause = crashesEvery
			}
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// read counts what has come since the last time.
func (c *CrashLog) read(ctx context.Context, js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(ctx, crashesTimeout)
	defer cancel()
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return err
	}
	current := stream.IdentityOf(s.CachedInfo())
	if !current.Follows(c.identity) {
		c.startAgain()
	}
	c.identity = current
	if c.whole && c.seen == current.Last {
		return nil
	}

	for i := range crashSubjects {
		if err := c.readSubject(ctx, js, i); err != nil {
			return err
		}
		c.next[i] = max(c.next[i], current.Last+1)
	}
	c.seen = current.Last
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = true
	return nil
}

// startAgain counts another stream.
func (c *CrashLog) startAgain() {
	c.next = [len(crashSubjects)]uint64{}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts, c.whole = map[int64]int{}, false
}

// readSubject reads one of crashSubjects from where it was read to.
func (c *CrashLog) readSubject(ctx context.Context, js jetstream.JetStream, i int) error {
	from := Position{Seq: c.next[i], Subject: crashSubjects[i]}
	if from.Seq == 0 {
		from.Time = time.Now().Add(-crashPeriod)
	}
	return (&Reader{JS: js}).Scan(ctx, stream.Events, from, func(m *Message) error {
		c.next[i] = m.Seq + 1
		isExit := i == 0
		if !isExit || bytes.Contains(m.Data, []byte(`"expected":false`)) {
			c.add(m.Stored)
		}
		return nil
	})
}

func (c *CrashLog) add(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[slotOf(at)]++
}

// Counts returns how many crashes there were in each part of the last 24 hours, the oldest
// first, when the first part began, and whether all of them were read.
func (c *CrashLog) Counts(now time.Time) (counts []int, begin time.Time, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := slotOf(now) - CrashParts + 1
	for at := range c.counts {
		if at < first {
			delete(c.counts, at)
		}
	}

	for i := range int64(CrashParts) {
		counts = append(counts, c.counts[first+i])
	}
	return counts, time.Unix(0, first*int64(CrashPart)), c.whole
}
