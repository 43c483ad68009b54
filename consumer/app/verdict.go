package app

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/notify/alertmanager"
	"supernats/consumer/watchdog"
	"supernats/consumer/wording"
)

const (
	// verdictTimeout bounds how long a verdict may take.
	verdictTimeout = 10 * time.Second
	// lateAfter is how long an event may wait to be read, refusedAfter how long a receiver
	// may accept nothing, before it is reported to a watchdog.
	lateAfter    = time.Minute
	refusedAfter = 5 * time.Minute
)

// makeWatchdogs returns the watchdogs of the configuration: addresses, and the Alertmanagers
// that get an alert which always fires.
func (a *App) makeWatchdogs() (list []*watchdog.Watchdog, err error) {
	add := func(name string, every time.Duration, target watchdog.Target) {
		list = append(list, watchdog.New(name, every, target, a.verdict, a.health, a.log))
	}
	for _, s := range a.cfg.Watchdog {
		s = s.WithDefaults()
		add(s.Name, time.Duration(s.Every), s.Target(a.identity()))
	}

	for _, r := range a.cfg.AlwaysFiring() {
		am, err := alertmanager.New(r.Name, *r.Alertmanager, a.identity(), a.log)
		if err != nil {
			return nil, fmt.Errorf("receiver %s: %w", r.Name, err)
		}
		add(r.Name, watchdog.DefaultEvery, alwaysFiring{am})
	}
	return list, nil
}

// alwaysFiring is an Alertmanager as the target of a watchdog. It is sent nothing while
// people are not notified, and takes the alert for resolved after a few minutes.
type alwaysFiring struct{ receiver *alertmanager.Receiver }

// Ping implements watchdog.Target.
func (f alwaysFiring) Ping(ctx context.Context, v watchdog.Verdict) error {
	if v.Reason != "" {
		return nil
	}
	return f.receiver.KeepFiring(ctx, 4*watchdog.DefaultEvery)
}

// verdict says whether people are notified: this instance is active, it reads events in
// time, can write, and its receivers accept what they get.
//
// An instance that stands by is silent. One that was active, and then lost NATS, is not:
// nobody else can know yet.
func (a *App) verdict(ctx context.Context) watchdog.Verdict {
	ctx, cancel := context.WithTimeout(ctx, verdictTimeout)
	defer cancel()

	if !a.isActive.Load() {
		switch {
		case a.currentJetStream() != nil:
			a.wasActive.Store(false)
			return watchdog.Verdict{Silent: true}
		case !a.wasActive.Load():
			return watchdog.Verdict{Silent: true}
		}
		return watchdog.Verdict{Reason: "NATS cannot be reached, and nobody is notified"}
	}
	a.wasActive.Store(true)

	if failures := a.health.Failures(); len(failures) > 0 {
		return watchdog.Verdict{Reason: failures[0].Text}
	}
	if reason := lateness(a.fleet.Snapshot(), cmp.Or(a.options.lateAfter, lateAfter)); reason != "" {
		return watchdog.Verdict{Reason: reason}
	}
	return watchdog.Verdict{Reason: a.refusal(ctx)}
}

// lateness says that events have waited for longer than after to be read, or that nobody has
// known for so long whether they do; "" if all is well. Times are the server's.
func lateness(s *fleet.Snapshot, after time.Duration) string {
	switch st := s.Status; {
	case st.LagAge > after:
		return fmt.Sprintf("events are read late: %d wait, the oldest for %s", st.Lag, wording.Brief(st.LagAge))
	case st.Loaded && !st.Live && s.Time().Sub(st.Since) > after:
		return st.Why
	}
	return ""
}

// refusal says which receivers do not accept notifications, "" if all do.
func (a *App) refusal(ctx context.Context) string {
	js := a.currentJetStream()
	if js == nil {
		return "NATS cannot be reached, and nobody is notified"
	}
	queues, err := (&inspect.Reader{JS: js}).Queues(ctx)
	if err != nil {
		return fmt.Sprintf("what the receivers accept is not known: %v", err)
	}

	inUse := map[string]bool{}
	for _, r := range a.plan.Load().receivers {
		inUse[r.Name()] = true
	}
	failing, last := 0, ""
	for i := range queues {
		q := &queues[i]
		if !inUse[q.Receiver] || q.Failure() == "" {
			continue
		}
		failing++
		last = fmt.Sprintf("%s accepts no notifications: %s", q.Receiver, wording.Clip(q.Failure(), wording.MaxText))
		if since := q.Position.Since; since != nil && time.Since(since.Time) > refusedAfter {
			return last
		}
	}
	if failing > 0 && failing == len(inUse) {
		return last
	}
	return ""
}
