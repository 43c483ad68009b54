package app

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// stuckAfter is how long a part may go without a sign of progress. Every step has a
// time limit, the longest of them together are below it.
const stuckAfter = 5 * time.Minute

// progress knows the parts that are at work and when each last got on. A part that
// waits for NATS gets on, too: it tries again. It is safe for concurrent use.
type progress struct {
	mu    sync.Mutex
	parts map[string]time.Time
}

// enter says that a part begins, until leave is called; beat that it gets on.
func (p *progress) enter(part string) (beat, leave func()) {
	p.beat(part)
	return func() { p.beat(part) }, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.parts, part)
	}
}

func (p *progress) beat(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts == nil {
		p.parts = map[string]time.Time{}
	}
	p.parts[part] = time.Now()
}

// stuck returns the parts that have not got on for a time, and since when.
func (p *progress) stuck(limit time.Duration) (parts string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for part, last := range p.parts {
		if time.Since(last) < limit {
			continue
		}
		list = append(list, part)
		if since.IsZero() || last.Before(since) {
			since = last
		}
	}
	slices.Sort(list)
	return strings.Join(list, " and "), since
}
