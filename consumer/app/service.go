package app

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// readyPatience is how long a service manager waits for READY=1 at most: what is
	// missing then is in STATUS, and need not keep the machine from starting.
	readyPatience = 10 * time.Second
	// superviseEvery is how often it is looked whether all parts get on.
	superviseEvery = 5 * time.Second
)

// supervise looks whether the daemon gets on, until ctx ends: what does not is raised
// as a trouble. It tells systemd, if that has started it, that the daemon is ready,
// how it is, and that it is alive; a daemon that is stuck does not say so, and is
// killed and started again by the unit's WatchdogSec.
func (a *App) supervise(ctx context.Context) error {
	every := superviseEvery
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		a.log.Warn().Err(err).Msg("service manager's watchdog cannot be used")
	}
	if watchdog > 0 {
		every = min(every, watchdog/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	patience := time.After(a.readyPatience)
	ready := a.ready
	for {
		select {
		case <-ctx.Done():
			a.notify(daemon.SdNotifyStopping, "stopping")
			return ctx.Err()
		case <-ready:
			ready = nil
			a.announced.Store(true)
			a.notify(daemon.SdNotifyReady, a.status())
		case <-patience:
			if a.announced.CompareAndSwap(false, true) {
				a.notify(daemon.SdNotifyReady, a.status())
			}
		case <-tick.C:
		}
		if !a.getsOn() {
			a.notify("", a.status())
			continue
		}
		if watchdog > 0 {
			a.notify(daemon.SdNotifyWatchdog, a.status())
		} else {
			a.notify("", a.status())
		}
	}
}

// watchEnd sees that work which is to end does: without that, neither the new
// configuration nor another instance would begin.
func (a *App) watchEnd(ctx context.Context, over <-chan struct{}) {
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	_, leave := a.progress.enter("ending the work")
	<-over
	leave()
}

// getsOn reports whether no part is stuck.
func (a *App) getsOn() bool {
	parts, since := a.progress.stuck(a.stuckAfter)
	if parts == "" {
		a.health.Clear("stuck")
		return true
	}
	a.health.Raise("stuck", fmt.Sprintf("%s has made no progress since %s", parts, since.UTC().Format(time.RFC3339)),
		"restart `supernats consume`; kill -QUIT first writes to its log where it is stuck")
	return false
}

// status says in one line how the daemon is.
func (a *App) status() string {
	if wrong := a.health.Failures(); len(wrong) > 0 {
		s := "not ready: " + wrong[0].Text
		if len(wrong) > 1 {
			s += fmt.Sprintf(" (and %d more)", len(wrong)-1)
		}
		return s
	}
	select {
	case <-a.ready:
	default:
		return "not ready: streams and buckets cannot be reached yet"
	}
	if !a.progress.at(partEvents) {
		return "standing by: another instance is active"
	}
	cfg := a.plan.Load().cfg
	return "reading events: " + cfg.Summary()
}

// notify sends a state and a status to systemd; without it, it does nothing.
func (a *App) notify(state, status string) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	lines := []string{"STATUS=" + strings.Join(strings.Fields(status), " ")}
	if state != "" {
		lines = append(lines, state)
	}
	_, err := daemon.SdNotify(false, strings.Join(lines, "\n"))
	if err != nil && !a.deaf.Swap(true) {
		a.log.Warn().Err(err).Msg("service manager cannot be notified")
	}
}

// reloads says that a reload begins; the function that it returns, that it has ended.
func (a *App) reloads() (over func()) {
	if !a.announced.Load() { // it is not ready yet, and will say so
		return func() {}
	}
	a.notify(daemon.SdNotifyReloading+"\n"+strings.TrimSpace(daemon.SdNotifyMonotonicUsec()), "reloading")
	return func() { a.notify(daemon.SdNotifyReady, a.status()) }
}
