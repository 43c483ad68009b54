package pulse

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"supernats/schema"
	"supernats/schema/repeat"
)

// CauseLate is the cause of the trouble that supervisord's log has deaths whose events have
// not come.
const CauseLate = "late-deaths"

const (
	// rushEvents in a second are a rush, and rushLasts how long one lasts after that.
	rushEvents = 500
	rushLasts  = 30 * time.Second
	// deathsEvery is how often supervisord's log is looked at in a rush, and deathLate
	// how long after that the event of a death has to have come.
	deathsEvery = 500 * time.Millisecond
	deathLate   = 1500 * time.Millisecond
	// maxLate bounds how many deaths are remembered, namedLate how many are named.
	maxLate   = 1000
	namedLate = 10
)

// LateDeaths reports deaths that supervisord has written into its log and whose
// events do not come: in a rush they wait in its buffer for seconds, or have been
// dropped from it. It looks only while events rush in, so that it costs nothing else.
//
// A death is matched with its event by the name of the process, in their order.
type LateDeaths struct {
	troubles Troubles
	follow   func(context.Context) (DeathLog, error)

	// Of the goroutine that listens: how many events were read in a second.
	second time.Time
	events int

	rush   chan struct{} // holds a value when there is one
	active atomic.Bool   // events of deaths are counted

	mu      sync.Mutex
	waiting []lateDeath // oldest first
}

// DeathLog is supervisord's log, from now on.
type DeathLog interface {
	// Next returns the deaths that were written since the last call.
	Next(ctx context.Context) ([]Death, error)
	Close()
}

// Death is a death as supervisord has written it into its log.
type Death struct {
	Process string
	Reason  string // for people
}

// lateDeath is a death whose event has not come, and when its line was read.
type lateDeath struct {
	death Death
	seen  time.Time
}

// NewLateDeaths returns one that opens supervisord's log with follow, in a rush.
func NewLateDeaths(t Troubles, follow func(context.Context) (DeathLog, error)) *LateDeaths {
	return &LateDeaths{troubles: t, follow: follow, rush: make(chan struct{}, 1)}
}

// EventRead takes note of an event that is read now.
func (l *LateDeaths) EventRead(event string, payload []byte, now time.Time) {
	if now.Sub(l.second) >= time.Second {
		l.second, l.events = now, 0
	}
	if l.events++; l.events == rushEvents {
		select {
		case l.rush <- struct{}{}:
		default:
		}
	}

	if l.active.Load() && (event == schema.ProcessStateExited || event == schema.ProcessStateBackoff) {
		l.forgetDeath(payload)
	}
}

// forgetDeath removes the oldest death of the process that an event of a death is about.
func (l *LateDeaths) forgetDeath(payload []byte) {
	name, ok := bytes.CutPrefix(payload, []byte("processname:"))
	if name, _, _ = bytes.Cut(name, []byte(" ")); !ok {
		return
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.waiting {
		if l.waiting[i].death.Process == string(name) {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return
		}
	}
}

// Run looks at the log in each rush until ctx ends.
func (l *LateDeaths) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.rush:
		}

		log, err := l.follow(ctx)
		if err == nil {
			l.followRush(ctx, log)
			log.Close()
		}
		if !repeat.Sleep(ctx, deathsEvery) { // without a log, the next rush is another try
			return
		}
	}
}

// followRush reports late deaths until the rush is over. What is late then was dropped.
func (l *LateDeaths) followRush(ctx context.Context, log DeathLog) {
	l.active.Store(true)
	defer l.endRush()

	t := time.NewTicker(deathsEvery)
	defer t.Stop()
	for last := time.Now(); time.Since(last) < rushLasts; {
		select {
		case <-ctx.Done():
			return
		case <-l.rush:
			last = time.Now()
			continue
		case <-t.C:
		}

		deaths, err := log.Next(ctx)
		if err != nil {
			return
		}
		if text := l.addWritten(deaths, time.Now()); text != "" {
			l.troubles.Raise(CauseLate, text, "events wait in supervisord's buffer: "+fixOutput)
		} else {
			l.troubles.Clear(CauseLate)
		}
	}
}

// endRush forgets what was waited for.
func (l *LateDeaths) endRush() {
	l.active.Store(false)
	l.mu.Lock()
	l.waiting = nil
	l.mu.Unlock()
	l.troubles.Clear(CauseLate)
}

// addWritten adds deaths, and returns a text about those that are late; empty without any.
func (l *LateDeaths) addWritten(deaths []Death, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range deaths {
		if len(l.waiting) < maxLate {
			l.waiting = append(l.waiting, lateDeath{d, now})
		}
	}

	var names []string
	late := 0
	for _, d := range l.waiting {
		if now.Sub(d.seen) < deathLate {
			break
		}
		if late++; late <= namedLate {
			names = append(names, d.death.Process+" exited ("+d.death.Reason+")")
		}
	}

	if late == 0 {
		return ""
	}
	text := "supervisord's log has deaths whose events have not come: " + strings.Join(names, ", ")
	if late > namedLate {
		text += fmt.Sprintf(" and %d more", late-namedLate)
	}
	return text
}
