package consumertest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"supernats/consumer"
)

// memory is a store that outlives its Handlers.
type memory struct {
	mu      sync.Mutex
	effects []string
	seen    map[uint64]bool
	last    uint64
}

func (s *memory) target(h func() consumer.Handler, stop func()) Target {
	return Target{
		Open: func(context.Context) (consumer.Handler, func() error, error) {
			return h(), func() error { stop(); return nil }, nil
		},
		Effects: func(context.Context) ([]string, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Clone(s.effects), nil
		},
	}
}

// handler calls do for each event while the store is locked.
func (s *memory) handler(do func(ctx context.Context, m *consumer.Message, id string) error) consumer.Handler {
	return consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
		ce, err := m.Event()
		if err != nil {
			return consumer.Park(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return do(ctx, m, ce.ID)
	})
}

// good keeps the sequences of what it has done.
func good(*testing.T) Target {
	s := &memory{seen: map[uint64]bool{}}
	return s.target(func() consumer.Handler {
		return s.handler(func(_ context.Context, m *consumer.Message, id string) error {
			if !s.seen[m.Seq] {
				s.seen[m.Seq], s.effects = true, append(s.effects, id)
			}
			return nil
		})
	}, func() {})
}

func TestGoodHandlerPasses(t *testing.T) { Run(t, good) }

// Each of these is wrong, and the checks that find it.
func TestBadHandlersFail(t *testing.T) {
	for name, c := range map[string]struct {
		make func(*testing.T) Target
		want []string
	}{
		"does everything again": {func(*testing.T) Target {
			s := &memory{}
			return s.target(func() consumer.Handler {
				return s.handler(func(_ context.Context, _ *consumer.Message, id string) error {
					s.effects = append(s.effects, id)
					return nil
				})
			}, func() {})
		}, []string{"comes again", "acknowledgement was lost", "program restarts", "is killed", "Handle ends"}},
		"takes what is older than the last for done": {func(*testing.T) Target {
			s := &memory{}
			return s.target(func() consumer.Handler {
				return s.handler(func(_ context.Context, m *consumer.Message, id string) error {
					if m.Seq > s.last {
						s.last, s.effects = m.Seq, append(s.effects, id)
					}
					return nil
				})
			}, func() {})
		}, []string{"postponed"}},
		"remembers only until its end": {func(*testing.T) Target {
			s := &memory{}
			return s.target(func() consumer.Handler {
				seen := map[uint64]bool{}
				return s.handler(func(_ context.Context, m *consumer.Message, id string) error {
					if !seen[m.Seq] {
						seen[m.Seq], s.effects = true, append(s.effects, id)
					}
					return nil
				})
			}, func() {})
		}, []string{"comes again", "program restarts", "is killed"}},
		"stores in batches": {func(*testing.T) Target {
			s := &memory{seen: map[uint64]bool{}}
			var batch []string
			flush := func() { s.effects, batch = append(s.effects, batch...), nil }
			return s.target(func() consumer.Handler {
				batch = nil // a new life
				return s.handler(func(_ context.Context, m *consumer.Message, id string) error {
					if !s.seen[m.Seq] {
						s.seen[m.Seq], batch = true, append(batch, id)
					}
					if len(batch) == 4 {
						flush()
					}
					return nil
				})
			}, flush)
		}, []string{"is stored when", "is killed"}},
		"gives up at what it cannot read": {func(*testing.T) Target {
			s := &memory{seen: map[uint64]bool{}}
			broken := false
			return s.target(func() consumer.Handler {
				return consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
					if _, err := m.Event(); err != nil || broken {
						broken = true
						return consumer.Park(context.DeadlineExceeded)
					}
					return s.handler(func(_ context.Context, m *consumer.Message, id string) error {
						if !s.seen[m.Seq] {
							s.seen[m.Seq], s.effects = true, append(s.effects, id)
						}
						return nil
					}).Handle(ctx, m)
				})
			}, func() {})
		}, []string{"malformed"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, check := range checks {
				found := slices.ContainsFunc(c.want, func(w string) bool { return strings.Contains(check.name, w) })
				if !found {
					continue
				}
				t.Run(check.name, func(t *testing.T) {
					if err := check.run(t.Context(), newBench(t, c.make(t))); err == nil {
						t.Error("nothing is found")
					} else {
						t.Log(err)
					}
				})
			}
		})
	}
}
