package bridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"supernats/bridge/publish"
)

// spool is where accepted events wait until JetStream has them.
type spool interface {
	publish.Source
	// Append returns when the record is in safe hands. If the spool is full it
	// blocks, and supervisord buffers, until there is room or ctx ends.
	Append(ctx context.Context, rec []byte) error
	// Finish says that nothing will be appended any more: Next ends with io.EOF.
	Finish()
	// Waiting returns how many records are not acknowledged.
	Waiting() int
}

var errFinished = errors.New("spool is closed for new events")

// memory is a spool in memory. It survives nothing but an outage of NATS.
type memory struct {
	max  int
	more chan struct{}

	mu       sync.Mutex
	recs     [][]byte // not acknowledged, oldest first
	next     int      // index in recs of what Next returns
	bytes    int
	finished bool
	room     chan struct{} // closed and replaced whenever bytes shrinks or nothing more is taken
}

func newMemory(maxBytes int) *memory {
	return &memory{max: maxBytes, more: make(chan struct{}, 1), room: make(chan struct{})}
}

// overhead is what a record costs beside its bytes.
const overhead = 64

func (m *memory) Append(ctx context.Context, rec []byte) error {
	size := len(rec) + overhead
	m.mu.Lock()
	for m.bytes > 0 && m.bytes+size > m.max && !m.finished {
		room := m.room
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-room:
		}
		m.mu.Lock()
	}
	defer m.mu.Unlock()
	if m.finished {
		return errFinished
	}
	m.recs = append(m.recs, bytes.Clone(rec))
	m.bytes += size
	m.signal()
	return nil
}

func (m *memory) signal() {
	select {
	case m.more <- struct{}{}:
	default:
	}
}

func (m *memory) Finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.finished = true
	m.signal()
	m.wake()
}

func (m *memory) More() <-chan struct{} { return m.more }

func (m *memory) Next() ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next == len(m.recs) {
		if m.finished {
			return nil, false, io.EOF
		}
		return nil, false, nil
	}
	rec := m.recs[m.next]
	m.next++
	return rec, true, nil
}

func (m *memory) Ack(n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, rec := range m.recs[:n] {
		m.bytes -= len(rec) + overhead
	}
	clear(m.recs[:n])
	m.recs, m.next = m.recs[n:], m.next-n
	if n > 0 {
		m.wake()
	}
	return nil
}

// wake makes those look again who wait for room.
func (m *memory) wake() {
	close(m.room)
	m.room = make(chan struct{})
}

func (m *memory) Rewind() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next = 0
	return nil
}

func (m *memory) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.recs)
}
