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
	// crashesEvery is how often they are counted at most, crashesTimeout how long that may
	// take: it continues the next time.
	crashesEvery   = 5 * time.Second
	crashesTimeout = 10 * time.Second
)

// crashSubjects have what schema.Event.IsCrash may be true of: all exits, and all deaths
// while starting.
var crashSubjects = [2]string{
	schema.EventPrefix + "*.*.*.process_state.exited",
	schema.EventPrefix + "*.*.*.process_state.backoff",
}

// CrashLog counts the crashes of the last 24 hours from the stream, as mails count them: each
// message is read once. The zero value has counted none.
type CrashLog struct {
	mu sync.Mutex
	// counts are by the number of the part of time, as slotOf has it.
	counts map[int64]int
	// next is the sequence after the last one that was read, of each of crashSubjects; 0 at
	// first. whole says that everything up to some time ago was read.
	next  [len(crashSubjects)]uint64
	whole bool
	// counted is when this was last done; running while it is being done.
	counted time.Time
	running bool
}

// CrashPart is the length of one part.
const CrashPart = crashPeriod / CrashParts

func slotOf(t time.Time) int64 { return t.UnixNano() / int64(CrashPart) }

// Refresh counts what has come, if it is time to, in the background. It reports errors to
// failed.
func (c *CrashLog) Refresh(js jetstream.JetStream, failed func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if js == nil || c.running || time.Since(c.counted) < crashesEvery {
		return
	}

	c.running = true
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), crashesTimeout)
		defer cancel()
		if err := c.read(ctx, js); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			failed(err)
		}
	}()
}

// read counts what has come since the last time.
func (c *CrashLog) read(ctx context.Context, js jetstream.JetStream) error {
	var err error
	for i := range crashSubjects {
		if err = c.readSubject(ctx, js, i); err != nil {
			break
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted, c.running = time.Now(), false
	c.whole = c.whole || err == nil
	return err
}

// readSubject reads one of crashSubjects from where it was read to.
func (c *CrashLog) readSubject(ctx context.Context, js jetstream.JetStream, i int) error {
	c.mu.Lock()
	from := Position{Seq: c.next[i], Subject: crashSubjects[i]}
	c.mu.Unlock()
	if from.Seq == 0 {
		from.Time = time.Now().Add(-crashPeriod)
	}

	return (&Reader{JS: js}).Scan(ctx, stream.Events, from, func(m *Message) error {
		c.add(i, m)
		return nil
	})
}

// add counts a message of one of crashSubjects.
func (c *CrashLog) add(i int, m *Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next[i] = m.Seq + 1
	isExit := i == 0
	if isExit && !bytes.Contains(m.Data, []byte(`"expected":false`)) {
		return
	}
	if c.counts == nil {
		c.counts = map[int64]int{}
	}
	c.counts[slotOf(m.Stored)]++
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
