package bridge

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"supernats/bridge/eventlistener"
	"supernats/bridge/record"
	"supernats/bridge/record/recordtest"
	"supernats/schema"
)

// simulated is a supervisord with one pool (process.py, EventListenerPool), and a
// listener of it that is started and dies.
type simulated struct {
	t      *rapid.T
	cfg    Config
	size   int  // of the pool's buffer
	boots  byte // the boot; 0 would be looked for
	serial uint64

	pool     *simPool
	pools    []*simPool
	current  *Bridge
	reported uint64 // as lost, by all lives together
}

// firstSerial is not that of the Go port, see losses.seen.
const firstSerial = 7

// simPool is one life of a pool.
type simPool struct {
	next   uint64
	buffer []simEvent
	// had are those that the bridge has stored, stored their serials; upTo is the last
	// one that was handed over, if any was.
	had    []simEvent
	stored map[uint64]bool
	upTo   uint64
	any    bool
}

type simEvent struct{ serial, poolSerial uint64 }

// put is _acceptEvent.
func (p *simPool) put(e simEvent, size int, head bool) {
	if len(p.buffer) >= size {
		p.buffer = p.buffer[1:]
	}
	if head {
		p.buffer = slices.Insert(p.buffer, 0, e)
	} else {
		p.buffer = append(p.buffer, e)
	}
}

func (s *simulated) newPool() {
	s.pool = &simPool{stored: map[uint64]bool{}}
	s.pools = append(s.pools, s.pool)
}

func (s *simulated) emit(n int) {
	for range n {
		s.pool.put(simEvent{s.serial, s.pool.next}, s.size, false)
		s.serial++
		s.pool.next++
	}
}

func (e simEvent) header() []byte {
	return fmt.Appendf(nil, "ver:3.0 server:s serial:%d pool:supernats poolserial:%d eventname:TICK_5 len:0", e.serial,
		e.poolSerial)
}

// bridge is the listener that runs, which may be a new one.
func (s *simulated) bridge() *Bridge {
	if s.current == nil {
		b, err := New(s.cfg, [record.BootSize]byte{s.boots}, "test", zerolog.Nop())
		if err == nil {
			err = b.openSpool(s.t.Context())
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.current = b
	}
	return s.current
}

func (s *simulated) take() simEvent {
	e := s.pool.buffer[0]
	s.pool.buffer = s.pool.buffer[1:]
	return e
}

// deliver hands one event over.
func (s *simulated) deliver(shed bool) simEvent {
	b, e := s.bridge(), s.take()
	h, err := eventlistener.ParseHeader(e.header())
	if err != nil {
		s.t.Fatal(err)
	}
	if shed && b.started {
		b.journal.Shed(record.AppendEvent(nil, recordtest.ReadAt, b.life.ID(), e.header(), nil), &h)
	} else {
		if err := b.accept(s.t.Context(), e.header(), nil); err != nil {
			s.t.Fatal(err)
		}
		s.pool.stored[e.poolSerial] = true
		s.pool.had = append(s.pool.had, e)
	}
	s.pool.upTo, s.pool.any = max(s.pool.upTo, e.poolSerial), true
	return e
}

// drain hands over all there is, and something new.
func (s *simulated) drain() {
	for s.emit(1); len(s.pool.buffer) > 0; {
		s.deliver(false)
	}
}

// end reads what a life has left in its spool; stop says that it could say goodbye.
func (s *simulated) end(stop bool) {
	b := s.current
	if s.current = nil; b == nil {
		return
	}
	if stop {
		b.storeLastRecords(false)
	}
	read := 0
	for {
		rec, ok, err := b.journal.Spool().Next()
		if err != nil && !errors.Is(err, io.EOF) {
			s.t.Fatal(err)
		}
		if !ok {
			break
		}
		read++
		if v, _ := record.Parse(rec); !v.IsMessage() {
			continue
		}
		payloads, err := record.Payloads("web1", rec)
		if err != nil {
			s.t.Fatal(err)
		}
		if ce, err := schema.Unmarshal[*schema.Loss](payloads[0]); err == nil && ce.Type == "supernats.bridge.loss" {
			s.reported += ce.Data.Count
		}
	}
	if err := b.journal.Spool().Ack(read, 0); err != nil {
		s.t.Fatal(err)
	}
	if err := b.journal.Spool().Close(); err != nil {
		s.t.Fatal(err)
	}
}

// Whatever happens to supervisord and to the bridge: what is stored and what is
// reported as lost add up to what there was.
func TestLossesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := goodConfig()
		cfg.SpoolDir = newDir(t)
		cfg.SpoolSync.every = -1
		cfg.StartedTogether = true
		s := &simulated{
			t: t, cfg: cfg, boots: 1, serial: firstSerial, size: rapid.IntRange(2, 8).Draw(t, "buffer_size"),
		}
		s.newPool()
		waiting := func() {
			if len(s.pool.buffer) == 0 {
				t.Skip()
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"events":       func(t *rapid.T) { s.emit(rapid.IntRange(1, 12).Draw(t, "n")) },
			"other events": func(t *rapid.T) { s.serial += uint64(rapid.IntRange(1, 9).Draw(t, "n")) },
			"deliver": func(t *rapid.T) {
				for range min(len(s.pool.buffer), rapid.IntRange(1, 12).Draw(t, "n")) {
					s.deliver(false)
				}
			},
			"shed": func(*rapid.T) {
				waiting()
				s.deliver(true)
			},
			"report": func(*rapid.T) {
				if err := s.bridge().journal.StoreLosses(); err != nil {
					t.Fatal(err)
				}
			},
			"snapshot": func(*rapid.T) {
				b := s.bridge()
				if err := b.journal.AppendMessage(recordtest.ReadAt, "supervisor.snapshot.web1", "id", []byte("{}")); err != nil {
					t.Fatal(err)
				}
			},
			"kill": func(*rapid.T) { s.end(false) },
			"kill before it is stored": func(*rapid.T) {
				waiting()
				e := s.take()
				s.end(false)
				s.pool.put(e, s.size, true)
			},
			"kill before the answer": func(*rapid.T) {
				waiting()
				e := s.deliver(false)
				s.end(false)
				s.pool.put(e, s.size, true)
			},
			"stop": func(*rapid.T) { s.end(true) },
			"somebody else's FAIL": func(t *rapid.T) {
				if len(s.pool.had) == 0 {
					t.Skip()
				}
				s.pool.put(rapid.SampledFrom(s.pool.had).Draw(t, "event"), s.size, true)
			},
			"reload": func(*rapid.T) {
				s.drain() // without one, nothing shows that there was another pool
				s.end(true)
				s.newPool()
				s.emit(1)
				s.deliver(false)
			},
			"another supervisord": func(t *rapid.T) {
				// What is shed in the last moment shows by the next event only.
				s.drain()
				s.end(rapid.Bool().Draw(t, "in order"))
				s.boots++
				s.serial = firstSerial
				s.newPool()
			},
		})
		s.drain()
		s.end(true)
		var want uint64
		for _, p := range s.pools {
			if p.any {
				want += p.upTo + 1 - uint64(len(p.stored))
			}
		}
		if s.reported != want {
			t.Fatalf("%d events are reported as lost, %d are", s.reported, want)
		}
	})
}

// newDir is a directory for one check.
func newDir(t *rapid.T) string {
	dir, err := os.MkdirTemp("", "supernats")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
