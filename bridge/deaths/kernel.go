package deaths

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
	"supernats/schema/repeat"
)

const (
	// reservedFiles are the descriptors that the bridge needs for all else.
	reservedFiles = 100
	// sweepEvery is how often what no event leads to is done.
	sweepEvery = 5 * time.Second
	// maxGivenUp bounds how many programs are remembered that are being started, or that
	// may be given up.
	maxGivenUp = 10_000
)

// kernel learns from the kernel how supervisord's programs end, and has supervisord
// report them at once. It is nil where that is impossible.
//
// Its goroutines: the watch, which reports deaths; the waker; one that looks for new
// processes and their names. The one that listens takes what they have found out.
type kernel struct {
	watch  *deathwatch.Watch
	memory *oom.Watch
	waker  *waker
	// starts holds a value when a program has been started, or is about to be.
	starts chan struct{}
	// limit is how many can be watched.
	limit int

	// Of the goroutine that listens. last is how programs ended that may be given up,
	// starting are those that are being started, with the serial of that event.
	last     map[schema.ProcessName]*record.Facts
	starting map[schema.ProcessName]uint64
	// Of the last event: its place, and what the kernel has reported of a death.
	pool       string
	poolSerial uint64
	end        end
}

// errHidden is why nothing can be watched in another pid namespace.
var errHidden = errors.New("supervisord's processes cannot be seen from here: " +
	"it is hidden, or in another pid namespace")

// newKernel returns an error that says why where nothing can be watched.
func newKernel(supervisord int, w *waker) (*kernel, error) {
	if supervisord == 0 {
		return nil, errHidden
	}
	limit, err := fileLimit()
	if err != nil {
		return nil, err
	}

	k := &kernel{
		waker: w, starts: make(chan struct{}, 1), limit: max(0, limit-reservedFiles),
		last: map[schema.ProcessName]*record.Facts{}, starting: map[schema.ProcessName]uint64{},
	}
	k.watch, err = deathwatch.New(deathwatch.Config{
		Parent: supervisord, Files: k.limit,
		Started: k.noteStarted, Added: k.followMemory, Died: w.wakeFor, Dead: k.noteDead,
	})
	if err != nil {
		return nil, err
	}

	k.memory = oom.New("/")
	w.pending = k.watch.Pending
	return k, nil
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

// run watches until ctx ends. report is called now and then with how many processes are
// watched, and how many there is no descriptor for.
func (k *kernel) run(ctx context.Context, report func(watched, refused int)) {
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = k.watch.Run(ctx) })
	tasks.Go(func() { k.waker.run(ctx) })
	tasks.Go(func() { k.lookForNewborn(ctx) })
	tasks.Go(func() { _ = k.memory.Run(ctx) })

	for repeat.Sleep(ctx, sweepEvery) {
		k.watch.Sweep()
		watched, refused, _ := k.watch.Stats()
		report(watched, refused)
	}

	tasks.Wait()
	k.watch.Close()
	k.memory.Close()
}

// noteStarted takes note that a program has been started, or is about to be.
func (k *kernel) noteStarted() {
	select {
	case k.starts <- struct{}{}:
	default:
	}
}

// noteAccepted takes an event that is being accepted. It returns what is known of the death that
// it reports, nil without one, and what the kernel has reported of it.
func (k *kernel) noteAccepted(h *eventlistener.Header, payload []byte) (*record.Facts, end) {
	k.end = end{}
	f := k.noteEvent(h, payload)
	return f, k.end
}

// noteEvent is note, with what the kernel has reported left in k.end.
func (k *kernel) noteEvent(h *eventlistener.Header, payload []byte) *record.Facts {
	if h.Pool == k.pool && h.PoolSerial > k.poolSerial+1 {
		k.watch.Gap()
	}
	k.pool, k.poolSerial = h.Pool, h.PoolSerial

	if h.Event == schema.SupervisorStateChangeStopping {
		k.waker.off.Store(true)
	}
	state, ok := strings.CutPrefix(h.Event, "PROCESS_STATE_")
	if !ok {
		return nil
	}
	return k.noteState(state, h.Serial, payload)
}

// noteState takes an event about a process.
func (k *kernel) noteState(state string, serial uint64, payload []byte) *record.Facts {
	name, pid := schema.ProcessOf(payload)
	begun, starting := k.starting[name]
	delete(k.starting, name)

	switch state {
	case schema.StateStarting:
		k.watch.Starting(name)
		k.noteStarted()
		if len(k.starting) < maxGivenUp {
			k.starting[name] = serial
		}

	case schema.StateRunning:
		k.watch.Add(pid, name)
		delete(k.last, name)

	case schema.StateStopping:
		k.watch.Stopping(pid)

	case schema.StateStopped:
		delete(k.last, name)
		k.memory.Forget(pid) // it was asked to, and may have been killed for that
		return k.factsOf(k.findExit(name, pid, false))

	case schema.StateExited:
		delete(k.last, name)
		return k.factsOf(k.findExit(name, pid, false))

	case schema.StateBackoff:
		// Without another event since its start it may have had no process at all.
		facts := k.factsOf(k.findExit(name, pid, starting && serial > begun+1))
		delete(k.last, name)
		if facts != nil && len(k.last) < maxGivenUp {
			k.last[name] = facts
		}
		return facts

	case schema.StateFatal: // it ended with the last BACKOFF
		facts := k.last[name]
		delete(k.last, name)
		return facts
	}
	return nil
}

// findExit finds out how a process ended. certain says that there has been one.
func (k *kernel) findExit(name schema.ProcessName, pid int, certain bool) (deathwatch.Exit, bool) {
	k.waker.came.Add(1)
	k.noteStarted() // it may be started again
	if pid != 0 {
		return k.watch.Exit(pid, name)
	}
	return k.watch.ExitNamed(name, certain, slices.Collect(maps.Keys(k.starting)))
}

// factsOf returns what is known of a death, nil of none.
func (k *kernel) factsOf(exit deathwatch.Exit, ok bool) *record.Facts {
	if !ok {
		return nil
	}
	return k.gatherFacts(exit)
}

// followMemory takes note of processes that supervisord has started: it is known from now on
// whether memory runs out where they run.
func (k *kernel) followMemory(pids []int) {
	for _, pid := range pids {
		k.memory.Follow(pid)
	}
}

// noteDead takes note of processes that have died: whether memory ran out has to be found
// out at once, while they can still be looked at.
func (k *kernel) noteDead(pids []int) { k.memory.Dead(pids...) }

// describeWatch says what is watched, and what is in the way.
func (k *kernel) describeWatch(wake bool) *schema.Watch {
	d := &schema.Watch{Limit: k.limit, Problem: k.problemText()}
	if k.watch.ReportsExits() {
		d.Exits = append(d.Exits, schema.WatchPidfd)
	}
	if k.watch.Connected() {
		d.Exits = append(d.Exits, schema.WatchConnector)
	}

	switch {
	case !wake:
	case k.waker.touch != nil:
		d.Wake = schema.WakeByConnection
	default:
		d.Wake = schema.WakeByLine
	}
	return d
}

// problemText is what is in the way of the watch, for people; empty if nothing is.
func (k *kernel) problemText() string {
	var problems []string
	switch {
	case !k.watch.ReportsExits() && !k.watch.Connected():
		problems = append(problems, "the kernel does not say how processes end "+
			"(Linux 6.15 is needed, or CAP_NET_ADMIN in the initial namespaces): supervisord's log does")
	case !k.watch.Connected() && !k.watch.Sees():
		problems = append(problems,
			"/proc is hidden: programs that die before supervisord takes them for RUNNING are not watched")
	}
	if trouble := k.memory.Trouble(); trouble != "" {
		problems = append(problems, "programs that run out of memory are reported as killed only: "+trouble)
	}
	return strings.Join(problems, "; ")
}
