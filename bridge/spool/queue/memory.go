package queue

import (
	"io"
	"time"
)

// Limits of what a Queue keeps in memory. The lower ones, stuck…, hold when nothing of it
// was acknowledged for stuckAfter: supervisord's buffer outlives the bridge.
const (
	memoryBytes   = 8 << 20
	memoryRecords = 20_000
	stuckBytes    = 1 << 20
	stuckRecords  = 1000
	stuckAfter    = 5 * time.Second
	// recordCost is what a record takes beside its bytes.
	recordCost = 64
)

// memory holds records that the disk does not take. The queue's lock guards it.
//
//   - The first read of recs are handed out; ack and drop take from the front.
//   - safe only grows. A record appended now is safe when safe has reached its present value
//     plus len(recs).
type memory struct {
	recs     [][]byte // not acknowledged, oldest first
	read     int      // how many of them were handed out
	bytes    int
	events   int       // among recs
	safe     uint64    // how many have left it, acknowledged or moved to the disk
	moved    time.Time // when the oldest became the oldest
	finished bool
}

// fits reports whether there is room for a record. An empty memory has room for any.
func (m *memory) fits(size int, now time.Time) bool {
	records, bytes := memoryRecords, memoryBytes
	if now.Sub(m.moved) > stuckAfter {
		records, bytes = stuckRecords, stuckBytes
	}
	return len(m.recs) == 0 || len(m.recs) < records && m.bytes+size+recordCost <= bytes
}

func (m *memory) append(rec []byte, event bool, now time.Time) {
	if len(m.recs) == 0 {
		m.moved = now
	}
	m.recs = append(m.recs, append([]byte(nil), rec...))
	m.bytes += len(rec) + recordCost
	if event {
		m.events++
	}
}

func (m *memory) next() (rec []byte, ok bool, err error) {
	if m.read == len(m.recs) {
		if m.finished {
			return nil, false, io.EOF
		}
		return nil, false, nil
	}
	m.read++
	return m.recs[m.read-1], true, nil
}

// ack removes the oldest n records, which were handed out.
func (m *memory) ack(n int, isEvent func([]byte) []byte) {
	m.drop(n, isEvent)
	m.read -= n
}

// drop removes the oldest n records.
func (m *memory) drop(n int, isEvent func([]byte) []byte) {
	for _, rec := range m.recs[:n] {
		m.bytes -= len(rec) + recordCost
		if isEvent(rec) != nil {
			m.events--
		}
	}
	clear(m.recs[:n])
	m.recs = m.recs[n:]
	m.safe += uint64(n)
	m.moved = time.Now()
	if len(m.recs) == 0 {
		m.recs = nil
	}
}

// used returns the fraction of the limits that is in use.
func (m *memory) used() float64 {
	return max(float64(m.bytes)/memoryBytes, float64(len(m.recs))/memoryRecords)
}

// diskRetry is how long after a failure the disk is not tried again.
const diskRetry = 500 * time.Millisecond
