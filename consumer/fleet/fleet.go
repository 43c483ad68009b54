// Package fleet keeps a live copy of an installation's records for everything that shows
// them while it runs: the web page, the JSON API and the metrics.
//
// It follows the buckets of states, hosts, alerts and silences, and publishes what they hold
// as a Snapshot: immutable, sorted, and sharing with the one before it whatever has not
// changed, so that who wants the difference compares pointers, host by host.
//
// Under pressure: changes are gathered, and at most four snapshots are made in a second,
// whatever comes in. Nobody waits for who reads one. A bucket that is deleted, created again
// or restored is read again from its beginning. What a snapshot says is no younger than its
// Status: while NATS cannot be reached, no `supernats consume` is active, or events are read
// late, it says since when, and why.
//
// Memory: about a kilobyte for each process (BenchmarkMemory).
package fleet

import (
	"sync"
	"sync/atomic"
	"time"

	"supernats/consumer/inspect"
	"supernats/schema"
)

// Snapshot is what is known at one time. It never changes.
type Snapshot struct {
	// Version grows with each snapshot of this process.
	Version uint64
	// Seq is the sequence in the stream of the last message that any record has seen.
	Seq uint64
	// Now is the server's time when it was made: an operator's machine may have another one.
	Now time.Time
	// Hosts are sorted by name, Alerts by rank: the open ones first, the worst of them first.
	Hosts  []*Host
	Alerts []*Alert
	// Mutes are those in force, oldest first.
	Mutes  []schema.Mute
	Totals Totals
	Status Status

	// made is Now by our own clock.
	made time.Time
}

// Time returns the server's time of now: a snapshot is the newest one until something
// changes.
func (s *Snapshot) Time() time.Time {
	if s.made.IsZero() {
		return s.Now
	}
	return s.Now.Add(time.Since(s.made))
}

// Host is a host with its processes.
type Host struct {
	inspect.Host
	// Processes are sorted by group and name.
	Processes []*Process
	// Open are its open alerts, the worst first.
	Open []*Alert
	// Level is how bad it is, all in all.
	Level Level
	// Fatal and Unknown count its processes that are FATAL, and of which nobody knows
	// whether they run.
	Fatal, Unknown int
}

// Process is a process as of its record and that of its host.
type Process struct {
	inspect.Process
	// Appeared is since when it can be seen, by the server's time: when its record was
	// begun or, if it came later than that to a copy that was following, when it came. So
	// several copies say nearly the same, and one that starts does.
	Appeared time.Time
}

// Alert is the record of an alert, with the silence that covers it.
type Alert struct {
	schema.Alert
	// Mute is the id of a silence in force that it matches.
	Mute string
}

// IsOpen reports whether the alert is firing, and not only pending or over.
func (a *Alert) IsOpen() bool { return a.Phase == schema.PhaseFiring }

// Level is how bad something is. The worse it is, the greater.
type Level int

// Levels of hosts and alerts.
const (
	Well Level = iota
	// Info is worth a look: somebody stopped a process, a silence covers an alert.
	Info
	Warning
	Critical
)

// Totals count over the whole fleet.
type Totals struct {
	Hosts, SilentHosts                             int
	Running, Down, Stopped, Exited, Fatal, Unknown int
	// Open are the alerts that are firing.
	Open int
	// Lost is how many events were ever reported as lost, LossHosts how many hosts have
	// lost some within LossAge.
	Lost      uint64
	LossHosts int
}

// LossAge is for how long a loss of events is worth a line.
const LossAge = 24 * time.Hour

// Status says whether a snapshot shows what is.
type Status struct {
	// Loaded is false until all buckets were read once.
	Loaded bool
	// Live says that records are written as events come, and that we see them. If not, Since
	// is the time up to which the snapshot is right, zero if that is not known, and Why says
	// what is wrong.
	Live  bool
	Since time.Time
	Why   string
	// Active is the instance of `supernats consume` that writes the records, "" if there is
	// none.
	Active string
	// Lag is how many messages of the stream have not been read yet, LagAge how long the
	// oldest of them has waited.
	Lag    uint64
	LagAge time.Duration
}

// Fleet is the live copy. Run fills it.
type Fleet struct {
	current atomic.Pointer[Snapshot]

	mu        sync.Mutex
	listeners map[chan struct{}]struct{}

	model   *model
	mirrors []follower
	// right is when all was well last, on the connection before.
	right time.Time
}

// New returns a copy that knows nothing yet.
func New() *Fleet {
	m := newModel()
	f := &Fleet{listeners: map[chan struct{}]struct{}{}, model: m, mirrors: mirrorsOf(m)}
	f.current.Store(&Snapshot{Status: Status{Why: "the records have not been read yet"}})
	return f
}

// Snapshot returns the newest one, never nil.
func (f *Fleet) Snapshot() *Snapshot { return f.current.Load() }

// Subscribe returns a channel that holds a value when there is a newer snapshot than at the
// last receive, until stop is called.
func (f *Fleet) Subscribe() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners[c] = struct{}{}

	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, c)
	}
}

// publish makes a snapshot the newest one.
func (f *Fleet) publish(s *Snapshot) {
	f.current.Store(s)

	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.listeners {
		select {
		case c <- struct{}{}:
		default: // it has not taken the last value yet
		}
	}
}
