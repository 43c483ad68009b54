package deathreason

import "time"

// After an error supervisord is left alone, twice as long each time.
const (
	minPause = 300 * time.Millisecond
	maxPause = time.Minute
)

// pauses are those after a series of errors. The zero value means that there was no error.
type pauses struct {
	last  time.Duration
	until time.Time
}

func (p *pauses) isOver(now time.Time) bool { return !now.Before(p.until) }

func (p *pauses) clear() { *p = pauses{} }

// begin begins the next pause, and reports whether it is the first of the series.
func (p *pauses) begin(now time.Time) (first bool) {
	first = p.last == 0
	p.last = min(max(2*p.last, minPause), maxPause)
	p.until = now.Add(p.last)
	return first
}
