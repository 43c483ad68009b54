package page

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// sharedFor is for how long what was read is good for others who look at the same.
	sharedFor = time.Second
	// maxShared is how many answers are kept at most.
	maxShared = 100
	// readWithin is how long one read may take.
	readWithin = 10 * time.Second
)

// sharedReads reads the stream once for all who look at one page: when something happens,
// they all get it again.
type sharedReads[T any] struct {
	running singleflight.Group

	mu   sync.Mutex
	read map[string]sharedRead[T] // by what is looked at
}

type sharedRead[T any] struct {
	found T
	at    time.Time
}

// get returns what read does, or has returned a moment ago, for who looks at the same:
// a page as of one state of the fleet.
func (s *sharedReads[T]) get(
	ctx context.Context, what string, read func(ctx context.Context) (T, error),
) (found T, err error) {
	s.mu.Lock()
	known, ok := s.read[what]
	s.mu.Unlock()
	if ok && time.Since(known.at) < sharedFor {
		return known.found, nil
	}

	// The first one may leave while others wait.
	answer, err, _ := s.running.Do(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
		defer cancel()
		return read(ctx)
	})
	if err != nil {
		return found, err
	}
	found = answer.(T)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == nil || len(s.read) >= maxShared {
		s.read = map[string]sharedRead[T]{}
	}
	s.read[what] = sharedRead[T]{found, time.Now()}
	return found, nil
}
