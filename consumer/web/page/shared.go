package page

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"supernats/consumer/history"
)

const (
	// sharedFor is for how long what was read is good for others who look at the same.
	sharedFor = time.Second
	// maxShared is how many answers are kept at most.
	maxShared = 100
)

// sharedReads reads the stream once for all who look at one page: when something happens,
// they all get it again.
type sharedReads struct {
	running singleflight.Group

	mu   sync.Mutex
	read map[string]sharedRead // by what is looked at
}

type sharedRead struct {
	found *history.Newest
	at    time.Time
}

// newest returns what read does, or has returned a moment ago, for who looks at the same:
// a page as of one state of the fleet.
func (s *sharedReads) newest(
	ctx context.Context, what string, read func(ctx context.Context) (*history.Newest, error),
) (*history.Newest, error) {
	s.mu.Lock()
	known, ok := s.read[what]
	s.mu.Unlock()
	if ok && time.Since(known.at) < sharedFor {
		return known.found, nil
	}

	// The first one may leave while others wait.
	found, err, _ := s.running.Do(what, func() (any, error) { return read(context.WithoutCancel(ctx)) })
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == nil || len(s.read) >= maxShared {
		s.read = map[string]sharedRead{}
	}
	s.read[what] = sharedRead{found.(*history.Newest), time.Now()}
	return found.(*history.Newest), nil
}
