package journal

import (
	"errors"
	"math"
	"time"

	"supernats/bridge/record"
	"supernats/bridge/spool/queue"
)

var errSpoolClosed = errors.New("spool is not open yet, the log says why")

// State is how the spool is, for those who look from outside.
type State struct {
	queue *queue.Queue // nil before it is open
}

// State returns how the spool is now.
func (j *Journal) State() State { return State{j.Spool()} }

// NotReady is why no events are accepted, nil if they are.
func (s State) NotReady() error {
	if s.queue == nil {
		return errSpoolClosed
	}
	return s.queue.Stats().Err
}

// Stats are those of the spool, zeros before it is open.
func (s State) Stats() queue.Stats {
	if s.queue == nil {
		return queue.Stats{}
	}
	return s.queue.Stats()
}

// OldestAge is how many seconds ago the oldest record in the spool was read from
// supervisord. It is not a number if the disk cannot be read, or not understood.
func (s State) OldestAge() float64 {
	if s.queue == nil {
		return 0
	}
	rec, err := s.queue.Oldest()
	if err == nil && rec == nil {
		return 0
	}

	var at time.Time
	if err == nil {
		at, err = record.Time(rec)
	}
	if err != nil {
		return math.NaN()
	}
	return max(0, time.Since(at).Seconds())
}
