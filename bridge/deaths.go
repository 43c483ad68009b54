package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"supernats/bridge/deathwatch"
	"supernats/bridge/eventlistener"
	"supernats/schema"
)

const (
	// reservedFiles are the descriptors that the bridge needs for all else.
	reservedFiles = 100
	// While a program is about to start, supervisord's children are looked for every
	// lookSoon for hurry, and then every lookLater: what dies at once is reaped by the
	// time that its event is read.
	lookSoon  = 100 * time.Microsecond
	hurry     = 50 * time.Millisecond
	lookLater = 20 * time.Millisecond
	// hurryLasts is how long after the last start or death somebody looks.
	hurryLasts = 3 * time.Second
)

// facts are what only this moment knows of the death that an event reports. They are
// stored before the event, in a record of their own, since after a restart, or when
// NATS has been away for hours, nobody could find them out.
type facts struct {
	Serial uint64       `json:"serial"`
	Exit   *schema.Exit `json:"exit,omitempty"`
	// Ran is for how long the process had been running, in seconds, Last the last look
	// at it, see lives.
	Ran  *float64     `json:"ran,omitempty"`
	Last *schema.Look `json:"last,omitempty"`

	end end // for lives
}

// deaths learns from the kernel how supervisord's programs end, and has supervisord
// reap them at once. It is nil where that is impossible.
type deaths struct {
	watch *deathwatch.Watch
	waker *waker
	hurry chan struct{} // holds a value when programs are about to start

	// last is how programs that may be given up died; it belongs to the goroutine that
	// listens.
	last map[deathwatch.Name]*schema.Exit
}

// newDeaths returns nil and why where nothing can be watched.
func newDeaths(supervisord int, w *waker) (*deaths, error) {
	if supervisord == 0 {
		return nil, fmt.Errorf("supervisord's processes cannot be seen from here: it is in another pid namespace, or hidden")
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("ask for the limit of open files: %w", err)
	}
	// The Go runtime has raised the soft limit to the hard one (os/rlimit.go).
	d := &deaths{waker: w, hurry: make(chan struct{}, 1), last: map[deathwatch.Name]*schema.Exit{}}
	var err error
	d.watch, err = deathwatch.New(deathwatch.Config{
		Parent: func() int { return supervisord }, Died: w.wake, Files: max(0, int(min(limit.Cur, 1<<20))-reservedFiles),
	})
	return d, err
}

// run watches until ctx ends.
func (d *deaths) run(ctx context.Context) {
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = d.watch.Run(ctx) })
	tasks.Go(func() { d.waker.run(ctx) })
	d.look(ctx)
	tasks.Wait()
	d.watch.Close()
}

// look looks for supervisord's new children: often while programs start.
func (d *deaths) look(ctx context.Context) {
	d.watch.Look()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.hurry:
		}
		for begun := time.Now(); time.Since(begun) < hurryLasts; {
			d.watch.Look()
			if time.Since(begun) < hurry {
				// Timers of the Go runtime have the resolution of epoll, a millisecond.
				_ = unix.Nanosleep(&unix.Timespec{Nsec: int64(lookSoon)}, nil)
			} else if !sleep(ctx, lookLater) {
				return
			}
			select {
			case <-d.hurry:
				begun = time.Now()
			default:
			}
		}
	}
}

func (d *deaths) soon() {
	select {
	case d.hurry <- struct{}{}:
	default:
	}
}

// note takes an event that is being accepted, and returns what is known of the death
// that it reports; nil without one.
func (d *deaths) note(h *eventlistener.Header, payload []byte) *facts {
	if h.Event == schema.SupervisorStateChangeStopping {
		d.waker.off.Store(true)
	}
	state, ok := strings.CutPrefix(h.Event, "PROCESS_STATE_")
	if !ok {
		return nil
	}

	name, pid := processOf(payload)
	switch state {
	case "STARTING":
		d.soon()
	case "RUNNING":
		d.watch.Add(pid)
		delete(d.last, name)
	case "STOPPED":
		d.watch.Exit(pid) // nobody asks for it any more
		delete(d.last, name)
	case "EXITED":
		d.soon() // it may be started again
		return factsOfDeath(h.Serial)(d.watch.Exit(pid))
	case "BACKOFF":
		d.soon()
		f := factsOfDeath(h.Serial)(d.watch.ExitNamed(name))
		if f != nil && len(d.last) < maxGivenUp {
			d.last[name] = f.Exit
		} else {
			delete(d.last, name)
		}
		return f
	case "FATAL": // the last death was a BACKOFF
		exit := d.last[name]
		delete(d.last, name)
		if exit != nil {
			return &facts{Serial: h.Serial, Exit: exit}
		}
	}
	return nil
}

// maxGivenUp bounds how many programs are remembered that may be given up.
const maxGivenUp = 10_000

func factsOfDeath(serial uint64) func(deathwatch.Exit, bool) *facts {
	return func(exit deathwatch.Exit, ok bool) *facts {
		if !ok {
			return nil
		}
		return &facts{Serial: serial, Exit: exitOf(exit.Status), end: end{died: exit.Died}}
	}
}

// exitOf is a wait status in the words of the contract.
func exitOf(s unix.WaitStatus) *schema.Exit {
	switch {
	case s.Exited():
		code := s.ExitStatus()
		return &schema.Exit{Code: &code}
	case s.Signaled():
		return &schema.Exit{Signal: unix.SignalName(s.Signal()), Core: s.CoreDump()}
	}
	return nil
}

// processOf returns whose event it is and its process id, 0 without one.
func processOf(payload []byte) (name deathwatch.Name, pid int) {
	line, _, _ := bytes.Cut(payload, []byte("\n"))
	for _, word := range strings.Fields(string(line)) {
		key, value, _ := strings.Cut(word, ":")
		switch key {
		case "groupname":
			name.Group = value
		case "processname":
			name.Process = value
		case "pid":
			pid, _ = strconv.Atoi(value)
		}
	}
	return name, pid
}

// kindFacts is the kind of a record of facts. It has no header line, since it says
// nothing of which events there were; the rest is JSON.
const kindFacts = 'f'

func appendFacts(b []byte, at time.Time, boot [bootBytes]byte, f *facts) ([]byte, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode facts of a death: %w", err)
	}
	b = append(appendHead(b, kindFacts, at, boot), '\n')
	return append(b, data...), nil
}

// isFacts reports whether a record is one of facts.
func isFacts(rec []byte) bool { return len(rec) >= recordHead && rec[0] == kindFacts }

// factsOf returns the facts that a record of them holds, nil if it is malformed.
func factsOf(rec []byte) *facts {
	_, data, _ := bytes.Cut(rec[recordHead:], []byte("\n"))
	f := new(facts)
	if json.Unmarshal(data, f) != nil {
		return nil
	}
	return f
}

// recordFacts stores what is known of a death before the event that reports it.
func (b *Bridge) recordFacts(ctx context.Context, f *facts, at time.Time) (err error) {
	if b.buf, err = appendFacts(b.buf[:0], at, b.boot.load(), f); err != nil {
		return err
	}
	return b.store(ctx, b.buf, nil)
}

// watchDeaths prepares the watch of deaths, and reports whether there is one. A section
// for output has no use for it.
func (b *Bridge) watchDeaths() bool {
	if !b.cfg.Wake || !b.sees(schema.ProcessStateExited) {
		return false
	}
	var touch func(context.Context) error
	if b.server != nil {
		touch = b.server.Touch
	}
	d, err := newDeaths(b.life.evidence.LocalPID(), newWaker(touch, b.log))
	if err != nil {
		b.log.Info().Err(err).Msg("deaths are known from supervisord only, up to a second later")
		return false
	}
	b.deaths = d
	return true
}
