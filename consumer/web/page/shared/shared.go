// Package shared does once what many want at the same time: reading the stream for a page,
// and rendering it. When something happens, all who look at it get it again.
package shared

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// keptFor is for how long a result is good for others.
	keptFor = time.Second
	// workWithin is how long the work may take.
	workWithin = 10 * time.Second
	// maxKept is how many results are kept at most.
	maxKept = 100
)

// Results are those of some work, by what they were made for. The zero value has none.
type Results[T any] struct {
	running singleflight.Group

	mu   sync.Mutex
	kept map[string]result[T]
}

type result[T any] struct {
	value T
	at    time.Time
}

// Get returns what work does, or has returned a moment ago for the same.
func (r *Results[T]) Get(ctx context.Context, what string, work func(context.Context) (T, error)) (T, error) {
	r.mu.Lock()
	known, ok := r.kept[what]
	r.mu.Unlock()
	if ok && time.Since(known.at) < keptFor {
		return known.value, nil
	}

	// The first one may leave while others wait.
	begun := time.Now()
	done, err, _ := r.running.Do(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workWithin)
		defer cancel()
		return work(ctx)
	})
	if err != nil {
		var none T
		return none, err
	}
	value := done.(T)
	r.mu.Lock()
	defer r.mu.Unlock()
	for old, k := range r.kept {
		if time.Since(k.at) >= keptFor {
			delete(r.kept, old)
		}
	}
	if r.kept == nil || len(r.kept) >= maxKept {
		r.kept = map[string]result[T]{}
	}
	r.kept[what] = result[T]{value, begun}
	return value, nil
}
