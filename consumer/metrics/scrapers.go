package metrics

import (
	"net/http"
	"sync"
	"time"
)

const (
	// maxHold is for how long the counters of a new process are exported at 0 at most: what
	// scrape intervals are at most, and a half more than Prometheus's own default.
	maxHold = 90 * time.Second
	// rememberFor is for how long an interval between two scrapes is remembered: for twice
	// that at most.
	rememberFor = 5 * time.Minute
	// maxConnections are remembered at most.
	maxConnections = 64
)

// scrapers knows in which intervals the metrics are asked for, and so since when a process
// must have appeared to be a new one.
//
// The counters of a new process are exported at 0 until each Prometheus has seen that once:
// what the process did before its first scrape would have no increase. Who asks by hand gets
// them as they are, and its intervals mean nothing. Prometheus keeps its
// connection, so that each connection shows the interval of one of them; where a proxy or a
// timeout ends connections, the interval between any two scrapes stands for it, which of a
// pair is half of it or more. Twice the longest is waited for. Until an interval is known,
// and if it is long, that is maxHold. What a Prometheus has not scraped twice yet is not
// known: it may miss the first crash of a process that appears just then.
//
// The time that is returned never goes back: no counter falls.
type scrapers struct {
	mu sync.Mutex
	// last is when each connection last asked, anyone when any of them did.
	last   map[string]time.Time
	anyone time.Time
	// ofOne are the intervals of one connection, ofAll those between any two scrapes.
	ofOne, ofAll longest
	since        time.Time
}

// keepsSeries reports whether a request is a scrape of one who computes increases: Prometheus
// and what scrapes as it does (vmagent, Alloy, the OpenTelemetry Collector) say how long they
// wait (Prometheus's scrape/scrape.go).
func keepsSeries(r *http.Request) bool {
	return r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds") != ""
}

// scraped notes a scrape by a connection.
func (s *scrapers) scraped(connection string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, known := s.last[connection]; known {
		s.ofOne.add(now.Sub(before), now)
	}
	if !s.anyone.IsZero() {
		s.ofAll.add(now.Sub(s.anyone), now)
	}
	s.anyone = now

	for c, at := range s.last {
		if now.Sub(at) > rememberFor {
			delete(s.last, c)
		}
	}
	if s.last == nil || len(s.last) >= maxConnections {
		s.last = map[string]time.Time{}
	}
	s.last[connection] = now
}

// newSince returns since when a process has appeared whose counters are still 0. now is
// scraped's, at the same moment by the clock of the snapshot.
func (s *scrapers) newSince(now, at time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	hold := 2 * s.ofOne.in(now)
	if hold == 0 {
		hold = 2 * s.ofAll.in(now)
	}
	if hold == 0 || hold > maxHold {
		hold = maxHold
	}
	if since := at.Add(-hold); since.After(s.since) {
		s.since = since
	}
	return s.since
}

// longest is the longest of some intervals, of those that were added in the last minutes.
type longest struct {
	begun        time.Time // of the current span of rememberFor
	current, old time.Duration
}

func (l *longest) add(d time.Duration, now time.Time) {
	l.turn(now)
	l.current = max(l.current, d)
}

// in returns the longest one, 0 if none is known.
func (l *longest) in(now time.Time) time.Duration {
	l.turn(now)
	return max(l.current, l.old)
}

// turn begins another span when the current one is over.
func (l *longest) turn(now time.Time) {
	switch age := now.Sub(l.begun); {
	case age < rememberFor:
		return
	case age < 2*rememberFor:
		l.old = l.current
	default:
		l.old = 0
	}
	l.begun, l.current = now, 0
}
