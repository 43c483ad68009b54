package bridge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"supernats/bridge/supervisord"
	"supernats/bridge/trouble"
	"supernats/schema"
)

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

// lateDeaths reports deaths that supervisord has written into its log and whose
// events do not come: in a rush they wait in its buffer for seconds, or have been
// dropped from it. It looks only while events rush in, so that it costs nothing else.
//
// A death is matched with its event by the name of the process, in their order.
type lateDeaths struct {
	troubles *trouble.Board
	follow   func(context.Context) (deathLog, error)

	// Of the goroutine that listens.
	second time.Time
	events int

	rush   chan struct{} // holds a value when there is one
	active atomic.Bool   // events of deaths are counted

	mu      sync.Mutex
	waiting []lateDeath // oldest first
}

type deathLog interface {
	Next(ctx context.Context) ([]supervisord.Death, error)
	Close()
}

type lateDeath struct {
	supervisord.Death
	seen time.Time
}

func newLateDeaths(t *trouble.Board, follow func(context.Context) (deathLog, error)) *lateDeaths {
	return &lateDeaths{troubles: t, follow: follow, rush: make(chan struct{}, 1)}
}

// saw takes note of an event that is read now.
func (l *lateDeaths) saw(event string, payload []byte, now time.Time) {
	if now.Sub(l.second) >= time.Second {
		l.second, l.events = now, 0
	}
	if l.events++; l.events == rushEvents {
		select {
		case l.rush <- struct{}{}:
		default:
		}
	}
	if !l.active.Load() || event != schema.ProcessStateExited && event != schema.ProcessStateBackoff {
		return
	}

	name, ok := bytes.CutPrefix(payload, []byte("processname:"))
	if name, _, _ = bytes.Cut(name, []byte(" ")); !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.waiting {
		if l.waiting[i].Process == string(name) {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return
		}
	}
}

// run looks at the log in each rush until ctx ends.
func (l *lateDeaths) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.rush:
		}
		log, err := l.follow(ctx)
		if err == nil {
			l.during(ctx, log)
			log.Close()
		}
		if !sleep(ctx, deathsEvery) { // without a log, the next rush is another try
			return
		}
	}
}

// during reports late deaths until the rush is over. What is late then was dropped.
func (l *lateDeaths) during(ctx context.Context, log deathLog) {
	l.active.Store(true)
	defer func() {
		l.active.Store(false)
		l.mu.Lock()
		l.waiting = nil
		l.mu.Unlock()
		l.troubles.Clear(troubleLate)
	}()
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
		if text := l.late(deaths, time.Now()); text != "" {
			l.troubles.Raise(troubleLate, text, "events wait in supervisord's buffer: "+fixChatty)
		} else {
			l.troubles.Clear(troubleLate)
		}
	}
}

// late adds deaths, and returns a text about those that are late; empty without any.
func (l *lateDeaths) late(deaths []supervisord.Death, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range deaths {
		if len(l.waiting) < maxLate {
			l.waiting = append(l.waiting, lateDeath{d, now})
		}
	}
	var names []string
	n := 0
	for _, d := range l.waiting {
		if now.Sub(d.seen) < deathLate {
			break
		}
		if n++; n <= namedLate {
			names = append(names, d.Process+" exited ("+exitText(d.Exit)+")")
		}
	}
	if n == 0 {
		return ""
	}
	text := "supervisord's log has deaths whose events have not come: " + strings.Join(names, ", ")
	if n > namedLate {
		text += fmt.Sprintf(" and %d more", n-namedLate)
	}
	return text
}

// exitText is the reason of a death in supervisord's words.
func exitText(e *schema.Exit) string {
	switch {
	case e == nil:
		return "unknown reason"
	case e.Code != nil:
		return fmt.Sprintf("exit status %d", *e.Code)
	case e.OOM != nil:
		return e.Signal + ", " + e.OOM.String()
	case e.Signal != "":
		return e.Signal
	}
	return cmp.Or(e.SpawnErr, "unknown reason")
}

var errNoDeaths = errors.New("this section is not subscribed to all deaths")

// followDeaths opens supervisord's log for lateDeaths. In a section for output no
// death has an event.
func (b *Bridge) followDeaths(ctx context.Context) (deathLog, error) {
	if !b.sees(schema.ProcessStateExited) || !b.sees(schema.ProcessStateBackoff) {
		return nil, errNoDeaths
	}
	return supervisord.FollowDeaths(ctx, b.SupervisorPID(), b.server)
}
