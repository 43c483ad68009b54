package snapshot

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"supernats/schema"
)

// host is a supervisord with its process table, and a spool.
type host struct {
	*Taker

	mu    sync.Mutex
	due   bool // a comparison is due, which finds loss
	loss  *schema.Loss
	fails error // of storing
	seen  seen
}

// seen is what a host has seen of its taker.
type seen struct {
	stored []string // reasons of the snapshots that were stored
	saved  int      // how often the table was kept
	failed int      // errors of supervisord that were reported
	lost   []*schema.Loss
}

func (h *host) Ask()                            {}
func (h *host) Answer([]schema.SnapshotProcess) {}

func (h *host) Due() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.due
}

func (h *host) Save(string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen.saved++
	return nil
}

func (h *host) Compare([]schema.SnapshotProcess, bool, bool) *schema.Loss {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due = false
	return h.loss
}

// failWith has the spool fail from now on.
func (h *host) failWith(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fails = err
}

// after waits, and returns what was seen until then.
func (h *host) after(d time.Duration) seen {
	time.Sleep(d)
	synctest.Wait()
	return h.now()
}

func (h *host) now() seen {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

func newHost(every time.Duration, answer func() (*schema.Snapshot, error)) *host {
	h := &host{}
	h.Taker = New(Config{
		Log: zerolog.Nop(), Host: "web1", Every: every, Table: h,
		Ask: func(context.Context) (*schema.Snapshot, error) { return answer() },
		Failed: func(error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.seen.failed++
		},
		Answered: func(context.Context, *schema.Snapshot) {},
		Boot:     func() string { return "0123456789abcdef" },
		Serial:   func() uint64 { return 7 },
		Sees:     func(string) bool { return true },
		Full:     func() bool { return false },
		Store: func(_ time.Time, subject, _ string, json []byte) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.fails != nil {
				return h.fails
			}
			envelope, err := schema.Unmarshal[*schema.Snapshot](json)
			if err == nil && subject == "supervisor.snapshot.web1" {
				h.seen.stored = append(h.seen.stored, envelope.Data.Reason)
			}
			return err
		},
		Lost: func(loss *schema.Loss) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.seen.lost = append(h.seen.lost, loss)
			return h.fails
		},
		Dir: func() string { return "/spool" },
	})
	return h
}

// run runs the taker in the background of a test.
func (h *host) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func oneProcess() (*schema.Snapshot, error) {
	return &schema.Snapshot{Processes: []schema.SnapshotProcess{{Group: "g", Process: "p", State: "RUNNING"}}}, nil
}

// What asks for a snapshot again and again gets no more than a share of supervisord.
func TestPause(t *testing.T) {
	begun := time.Date(2026, 11, 21, 19, 0, 31, 0, time.UTC)
	for took, want := range map[time.Duration]time.Duration{
		time.Millisecond: leastPause, 100 * time.Millisecond: leastPause, 3 * time.Second: 30 * time.Second,
	} {
		ended := begun.Add(took)
		if got := earliestNext(begun, ended).Sub(ended); got != want {
			t.Errorf("after one that took %v the next may come after %v, want %v", took, got, want)
		}
	}
}

// Over an outage no process tables fill the spool: one waits, and the next one is
// taken when the stream has it, or after a long time.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(time.Minute, oneProcess)
		h.run(t)
		if diff := cmp.Diff([]string{Interval}, h.after(waitLimit).stored); diff != "" {
			t.Errorf("taken in an outage (-want +got):\n%s", diff)
		}
		if got := h.after(2 * time.Minute).stored; len(got) != 2 {
			t.Errorf("%d taken after a long outage, want 2", len(got))
		}
		h.Stored()
		if got := h.after(time.Minute).stored; len(got) != 3 {
			t.Errorf("%d taken after the outage, want 3", len(got))
		}
	})
}

// A snapshot that is wanted does not wait for the clock, but for the pause.
func TestWant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(time.Hour, oneProcess)
		h.run(t)
		h.Want(Start)
		if diff := cmp.Diff([]string{Start}, h.after(0).stored); diff != "" {
			t.Errorf("wanted (-want +got):\n%s", diff)
		}

		h.Want(Loss)
		synctest.Wait()
		h.Want(Reconnect)
		h.Want(Loss) // one is asked for already
		if got := h.after(leastPause - time.Millisecond).stored; len(got) != 1 {
			t.Errorf("taken within the pause: %q", got)
		}
		if diff := cmp.Diff([]string{Start, Loss, Reconnect}, h.after(10*leastPause).stored); diff != "" {
			t.Errorf("wanted again (-want +got):\n%s", diff)
		}
	})
}

// Errors are reported, but not that supervisord does not answer while it stops.
func TestErrors(t *testing.T) {
	h := newHost(time.Minute, func() (*schema.Snapshot, error) { return nil, errors.New("no answer") })
	h.Take(t.Context(), Interval)
	h.Take(t.Context(), Stopping)
	if got := h.now().failed; got != 1 {
		t.Errorf("%d errors are reported, want 1", got)
	}

	h = newHost(time.Minute, oneProcess)
	h.failWith(errors.New("no room"))
	h.Take(t.Context(), Interval)
	if h.waitsForStream(time.Now()) {
		t.Error("a snapshot that is not stored waits for the stream")
	}
}

// What happened while supervisord had no section of ours is reported once the buffered
// events have come, and the table before it is kept until that is stored.
func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		name  string
		loss  *schema.Loss
		fails error
		saved int
	}{
		{name: "nothing happened", saved: 1},
		{name: "reported", loss: &schema.Loss{Count: 3}, saved: 1},
		{name: "not stored", loss: &schema.Loss{Count: 3}, fails: errors.New("no room"), saved: 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(time.Hour, oneProcess)
				h.due, h.loss = true, tc.loss
				h.run(t)
				h.Want(Start)
				synctest.Wait()
				h.failWith(tc.fails)
				got := h.after(compareAfter + time.Millisecond)
				if h.Due() || got.saved != tc.saved || len(got.lost) > 0 != (tc.loss != nil) {
					t.Errorf("due %v, saved %d times, lost %v", h.Due(), got.saved, got.lost)
				}
			})
		})
	}
}
