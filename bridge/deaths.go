package bridge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"supernats/bridge/deathwatch"
	"supernats/bridge/eventlistener"
	"supernats/bridge/oom"
	"supernats/bridge/record"
	"supernats/schema"
)

const (
	// reservedFiles are the descriptors that the bridge needs for all else.
	reservedFiles = 100
	// sweepEvery is how often is done what no event leads to.
	sweepEvery = 5 * time.Second
	// maxGivenUp bounds how many programs are remembered that are being started, or that
	// may be given up.
	maxGivenUp = 10_000
)

// deaths learns from the kernel how supervisord's programs end, and has supervisord
// report them at once. It is nil where that is impossible.
//
// Its goroutines: the watch, which reports deaths; the waker; one that looks for new
// processes and their names. The one that listens takes what they have found out.
type deaths struct {
	watch  *deathwatch.Watch
	memory *oom.Watch
	waker  *waker
	// starts holds a value when a program has been started, or is about to be.
	starts chan struct{}
	// limit is how many can be watched.
	limit int

	// Of the goroutine that listens. last is how programs ended that may be given up,
	// starting are those that are being started, with the serial of that event; pool
	// and poolSerial are of the last event.
	last       map[schema.ProcessName]*record.Facts
	starting   map[schema.ProcessName]uint64
	pool       string
	poolSerial uint64
	// end is what the event noted last has shown of a death, for lives.
	end end
}

var errHidden = errors.New("supervisord's processes cannot be seen from here: it is hidden, or in another pid namespace")

// newDeaths returns why where nothing can be watched.
func newDeaths(supervisord int, w *waker) (*deaths, error) {
	if supervisord == 0 {
		return nil, errHidden
	}
	limit, err := fileLimit()
	if err != nil {
		return nil, err
	}
	d := &deaths{
		waker: w, starts: make(chan struct{}, 1), last: map[schema.ProcessName]*record.Facts{},
		starting: map[schema.ProcessName]uint64{},
		limit:    max(0, limit-reservedFiles),
	}
	d.watch, err = deathwatch.New(deathwatch.Config{
		Parent: supervisord, Died: w.wake, Started: d.started, Files: d.limit, Added: d.added, Dead: d.dead,
	})
	if err != nil {
		return nil, err
	}
	d.memory = oom.New("/")
	w.pending = d.watch.Pending
	return d, nil
}

// fileLimit returns how many files may be open, after it has raised that as far as it
// may be.
func fileLimit() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("get the limit of open files: %w", err)
	}
	if limit.Cur < limit.Max {
		// The Go runtime has done so already, but for limits it does not like.
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return int(min(limit.Cur, 1<<20)), nil
}

// run watches until ctx ends.
func (d *deaths) run(ctx context.Context, limited func(watched, refused int)) {
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = d.watch.Run(ctx) })
	tasks.Go(func() { d.waker.run(ctx) })
	tasks.Go(func() { d.look(ctx) })
	tasks.Go(func() { _ = d.memory.Run(ctx) })

	for sleep(ctx, sweepEvery) {
		d.watch.Sweep()
		watched, refused, _ := d.watch.Stats()
		limited(watched, refused)
	}
	tasks.Wait()
	d.watch.Close()
	d.memory.Close()
}

// started takes note that a program has been started, or is about to be.
func (d *deaths) started() {
	select {
	case d.starts <- struct{}{}:
	default:
	}
}

// note takes an event that is being accepted, and returns what is known of the death
// that it reports; nil without one.
func (d *deaths) note(h *eventlistener.Header, payload []byte) *record.Facts {
	d.end = end{}
	if h.Pool == d.pool && h.PoolSerial > d.poolSerial+1 {
		d.watch.Gap()
	}
	d.pool, d.poolSerial = h.Pool, h.PoolSerial
	if h.Event == schema.SupervisorStateChangeStopping {
		d.waker.off.Store(true)
	}
	state, ok := strings.CutPrefix(h.Event, "PROCESS_STATE_")
	if !ok {
		return nil
	}

	name, pid := schema.ProcessOf(payload)
	begun, starting := d.starting[name]
	delete(d.starting, name)
	switch state {
	case "STARTING":
		d.watch.Starting(name)
		d.started()
		if len(d.starting) < maxGivenUp {
			d.starting[name] = h.Serial
		}
	case "RUNNING":
		d.watch.Add(pid, name)
		delete(d.last, name)
	case "STOPPING":
		d.watch.Stopping(pid)
	case "STOPPED":
		delete(d.last, name)
		d.memory.Forget(pid) // it was asked to, and may have been killed for that
		return d.ended(d.exit(name, pid, false))
	case "EXITED":
		delete(d.last, name)
		return d.ended(d.exit(name, pid, false))
	case "BACKOFF":
		// Without another event since its start it may have had no process at all.
		f := d.ended(d.exit(name, pid, starting && h.Serial > begun+1))
		if delete(d.last, name); f != nil && len(d.last) < maxGivenUp {
			d.last[name] = f
		}
		return f
	case "FATAL": // it ended with the last BACKOFF
		f := d.last[name]
		delete(d.last, name)
		return f
	}
	return nil
}

// exit finds out how a process ended. certain says that there has been one.
func (d *deaths) exit(name schema.ProcessName, pid int, certain bool) (deathwatch.Exit, bool) {
	d.waker.came.Add(1)
	d.started() // it may be started again
	if pid != 0 {
		return d.watch.Exit(pid, name)
	}
	return d.watch.ExitNamed(name, certain, slices.Collect(maps.Keys(d.starting)))
}

// ended returns what is known of a death.
func (d *deaths) ended(exit deathwatch.Exit, ok bool) *record.Facts {
	if !ok {
		return nil
	}
	return d.gather(exit)
}
