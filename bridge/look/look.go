// Package look looks at supervisord's programs while they run: how much memory, CPU
// time, threads and descriptors each of them has, and for how long it has been
// running. Once one has died that cannot be found out any more; the event of its death
// then holds the last look.
//
//	every 5 s, upon TICK_5   each process once
//	at the start of one      new and young ones, every 200 ms for 3 s
//	at a death               Take: the last look, and when the process was started
//
// It reads /proc from a goroutine of its own. Add, Soon, Tick and Take, which the
// listener calls, wait for no file. A look costs 25 to 45 µs of a processor: stat,
// status and the size of fd, each opened again. Kept open they would cost half of it,
// and two descriptors for each process, which the watch of deaths needs more. After
// every 64 looks it rests for 100 times as long as they took, so that it never takes
// more than 1 % of a processor, however many processes there are: 500 are looked at
// within 2 s, and 10,000 take turns of 40 s.
//
// What is remembered is bounded by Config.Max processes that run, and as many that
// have died and whose event has not come, of which the oldest go first: 200 bytes
// each, allocated when one is found and never for a look.
package look

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Max is how many processes are looked at, unless Config says otherwise.
const Max = 10_000

const (
	// every is the time from one look at all processes to the next one. A tick within
	// tickLate makes a clock of our own needless.
	every    = 5 * time.Second
	tickLate = 7 * time.Second
	// A start is looked at from soonAfter on, every hurryEvery for hurryLasts: that is
	// how long a process is young.
	soonAfter  = 20 * time.Millisecond
	hurryEvery = 200 * time.Millisecond
	hurryLasts = 3 * time.Second
	// A batch of looks is followed by a rest of restShare times its own time.
	batch       = 64
	restShare   = 100
	longestRest = 250 * time.Millisecond
)

// Config is what a Looker needs.
type Config struct {
	// Parent is supervisord's process id; 0 if it is not known for certain. With it,
	// processes are found without events, and those of others are never taken for
	// supervisord's.
	Parent int
	// Max bounds how many processes are looked at; 0 stands for Max.
	Max int
	// Proc is where procfs is mounted; /proc if it is empty.
	Proc string
	// Say is called once for each kind of error, from Run's goroutine, when processes cannot
	// be looked at; err says which and why.
	Say func(err error)
}

// Look is what /proc has said of a process. Descriptors is 0 where it does not say
// how many are open.
type Look struct {
	Time        time.Time
	RSS, Peak   uint64 // bytes
	CPU         time.Duration
	Threads     int
	Descriptors int
	Age         time.Duration
}

// Looker looks at the programs of one supervisord. Its methods may be called from
// several goroutines.
type Looker struct {
	cfg  Config
	proc *procfs // Run's goroutine owns it

	tick chan struct{} // holds a value when all are due
	soon chan struct{} // holds a value when there are, or will be, new ones

	// Run's goroutine owns these: which processes a pass looks at, which there are, and what
	// was reported.
	turn  []*process
	found []int
	said  sayOnce
	// resting is not running between rests.
	resting *time.Timer

	mu    sync.Mutex
	alive map[int]*process
	// gone are those that are not there any more, by pid, the oldest first; order is
	// when that was noticed, the oldest first.
	gone  map[int]*process
	order []*process
	// added are process ids that events have named.
	added []int
	// beyond is how many processes there were no place for, when they were last counted.
	beyond int
}

// New makes a Looker. The error says why nothing can be looked at here.
func New(cfg Config) (*Looker, error) {
	if cfg.Max == 0 {
		cfg.Max = Max
	}
	if cfg.Proc == "" {
		cfg.Proc = "/proc"
	}
	proc, err := openProcfs(cfg.Proc)
	if err != nil {
		return nil, err
	}
	resting := time.NewTimer(0)
	resting.Stop()
	return &Looker{
		cfg: cfg, resting: resting, proc: proc, said: sayOnce{say: cfg.Say},
		tick: make(chan struct{}, 1), soon: make(chan struct{}, 1),
		alive: map[int]*process{}, gone: map[int]*process{},
	}, nil
}

// Close closes /proc. Call it when Run has returned, or was never called.
func (l *Looker) Close() { l.proc.close() }

// Tick lets Run look at all processes. Without it Run does so every 5 s.
func (l *Looker) Tick() { signal(l.tick) }

// Soon lets Run look for new processes: one is about to start, or has just been started.
func (l *Looker) Soon() { signal(l.soon) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Now is the clock of starts and deaths: the time since the machine was started, the
// time that it was suspended included. It cannot be set.
func Now() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

// sayOnce reports the first error of each kind.
type sayOnce struct {
	say  func(error)
	said []error
}

func (s *sayOnce) report(kind, err error) {
	for _, k := range s.said {
		if errors.Is(kind, k) {
			return
		}
	}
	s.said = append(s.said, kind)
	if s.say != nil {
		s.say(err)
	}
}

var (
	// ErrHidden means that /proc does not show a process.
	ErrHidden = errors.New("hidden")
	// ErrTooMany means that there are more processes than Config.Max.
	ErrTooMany = errors.New("too many processes")
)
