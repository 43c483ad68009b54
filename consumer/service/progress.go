package service

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Progress knows the parts that are at work and when each last made progress. A part that
// waits for NATS makes progress, too: it tries again. The zero value is ready; it is safe
// for concurrent use.
type Progress struct {
	mu    sync.Mutex
	parts map[string]time.Time // when each last made progress
}

// Enter reports that a part begins, until leave is called; beat reports progress.
func (p *Progress) Enter(part string) (beat, leave func()) {
	p.beat(part)
	return func() { p.beat(part) }, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.parts, part)
	}
}

func (p *Progress) beat(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.parts == nil {
		p.parts = map[string]time.Time{}
	}
	p.parts[part] = time.Now()
}

// isAtWork reports whether a part has begun and not ended.
func (p *Progress) isAtWork(part string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	_, ok := p.parts[part]
	return ok
}

// stuck returns the parts without progress for a time, and since when.
func (p *Progress) stuck(limit time.Duration) (parts string, since time.Time) {
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
