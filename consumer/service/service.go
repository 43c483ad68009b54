// Package service finds parts of the daemon that are stuck, and reports to a service
// manager (systemd, by sd_notify(3)) that the daemon is ready, how it is, and that it is
// alive. Without a service manager it only raises troubles.
//
// A part is stuck when it has made no progress for 5 minutes: every step has a time limit,
// and the longest of them together are below that. A daemon with a stuck part raises a
// trouble and does not report that it is alive; the unit's WatchdogSec kills and restarts
// it. A service manager waits for READY=1 for 10 seconds at most: what is missing then is
// in STATUS, and need not keep the machine from starting.
package service

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
)

const (
	// ReadingEvents is the part that only the active instance has.
	ReadingEvents = "reading events"

	defaultStuckAfter    = 5 * time.Minute
	defaultReadyPatience = 10 * time.Second
	// checkEvery is how often the parts are checked.
	checkEvery = 5 * time.Second

	causeStuck = "stuck"
)

// Options of a service.
type Options struct {
	Health *health.Health
	// Ready is closed when the daemon works or stands by.
	Ready <-chan struct{}
	// Summary returns what the active instance works by: "6 rules, 1 receiver".
	Summary func() string
	Log     zerolog.Logger
}

// Service checks the daemon and reports how it is. It is safe for concurrent use.
type Service struct {
	// Progress is where the parts report theirs.
	Progress Progress

	options                   Options
	stuckAfter, readyPatience time.Duration
	// announced is set when the service manager has READY=1.
	announced atomic.Bool
	// unreachable is set when the service manager could not be notified: one log line.
	unreachable atomic.Bool
}

// New returns a service without parts.
func New(o Options) *Service {
	return &Service{options: o, stuckAfter: defaultStuckAfter, readyPatience: defaultReadyPatience}
}

// Run checks the parts and reports until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	every := checkEvery
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.options.Log.Warn().Err(err).Msg("service manager's watchdog cannot be used")
	}
	if watchdog > 0 {
		every = min(every, watchdog/3)
	}

	tick := time.NewTicker(every)
	defer tick.Stop()
	patience := time.After(s.readyPatience)
	ready := s.options.Ready
	for {
		select {
		case <-ctx.Done():
			s.sendStatus(daemon.SdNotifyStopping, "stopping")
			return ctx.Err()
		case <-ready:
			ready = nil
			s.announced.Store(true)
			s.sendStatus(daemon.SdNotifyReady, s.statusText())
		case <-patience:
			if s.announced.CompareAndSwap(false, true) {
				s.sendStatus(daemon.SdNotifyReady, s.statusText())
			}
		case <-tick.C:
		}

		alive := ""
		if s.checkProgress() && watchdog > 0 {
			alive = daemon.SdNotifyWatchdog
		}
		s.sendStatus(alive, s.statusText())
	}
}

// WatchEnd reports work that does not end after ctx has: until it does, neither the new
// configuration nor another instance can begin. ended is closed when it has.
func (s *Service) WatchEnd(ctx context.Context, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}

	_, leave := s.Progress.Enter("ending the work")
	<-ended
	leave()
}

// checkProgress reports whether no part is stuck.
func (s *Service) checkProgress() bool {
	parts, since := s.Progress.stuck(s.stuckAfter)
	if parts == "" {
		s.options.Health.Clear(causeStuck)
		return true
	}
	s.options.Health.Raise(causeStuck,
		fmt.Sprintf("%s has made no progress since %s", parts, since.UTC().Format(time.RFC3339)),
		"restart `supernats consume`; kill -QUIT first writes to its log where it is stuck")
	return false
}

// statusText describes the daemon in one line.
func (s *Service) statusText() string {
	if failures := s.options.Health.Failures(); len(failures) > 0 {
		text := "not ready: " + failures[0].Text
		if len(failures) > 1 {
			text += fmt.Sprintf(" (and %d more)", len(failures)-1)
		}
		return text
	}

	select {
	case <-s.options.Ready:
	default:
		return "not ready: streams and buckets cannot be reached yet"
	}
	if !s.Progress.isAtWork(ReadingEvents) {
		return "standing by: another instance is active"
	}
	return ReadingEvents + ": " + s.options.Summary()
}

// Starting reports what a start is doing.
func (s *Service) Starting(what string) { s.sendStatus("", what) }

// Reloading reports that a reload begins; the result reports that it has ended.
func (s *Service) Reloading() (ended func()) {
	if !s.announced.Load() { // READY=1 would end the start too early
		return func() {}
	}
	s.sendStatus(daemon.SdNotifyReloading+"\n"+strings.TrimSpace(daemon.SdNotifyMonotonicUsec()), "reloading")
	return func() { s.sendStatus(daemon.SdNotifyReady, s.statusText()) }
}

// sendStatus sends a state, which may be empty, and a status.
func (s *Service) sendStatus(state, status string) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}

	lines := []string{"STATUS=" + strings.Join(strings.Fields(status), " ")}
	if state != "" {
		lines = append(lines, state)
	}
	_, err := daemon.SdNotify(false, strings.Join(lines, "\n"))
	if err != nil && !s.unreachable.Swap(true) {
		s.options.Log.Warn().Err(err).Msg("service manager cannot be notified")
	}
}
