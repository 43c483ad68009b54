package deathreason

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/deathreason/replay"
	"supernats/schema"
)

const (
	// relocateEvery is how often supervisord's log is looked for where it is not read as a
	// file.
	relocateEvery = 10 * time.Second
	// backlog is how long after its line an event may be read: it waits in supervisord's
	// buffer while the listener is not running, and while supervisord, which hands out one
	// event in each round of its loop, starts many programs.
	backlog = 10 * time.Minute
)

// logReader reads supervisord's own log into a history: as a file where that is possible,
// else over XML-RPC. Reasons.turn guards it, except for status.
type logReader struct {
	cfg *Config
	rpc *rpc
	// oldestOr returns when the oldest event was read that waits to be followed.
	oldestOr func(now time.Time) time.Time
	// onLocate is called when it was found out where supervisord logs.
	onLocate func(Settings, *ownlog.Location)

	place   ownlog.Location
	located time.Time // when place was found out last; zero: at the next look
	feed    ownlog.Feed
	log     *replay.History
	// done means that the log was read in this call of Explain or Follow.
	done bool

	// status is what was found out of the log last; found is closed when it is there.
	status atomic.Pointer[schema.Reasons]
	found  chan struct{}
}

// beginCall begins a call of Explain or Follow, which reads the log once.
func (r *logReader) beginCall() { r.done, r.log.Complete = false, false }

// close closes the log. It is opened again when it is needed.
func (r *logReader) close() {
	if r.place.File != nil {
		r.place.File.Close()
		r.place.File, r.located = nil, time.Time{}
	}
}

// expectMove lets the next read look for the log: a reload may have changed the
// configuration.
func (r *logReader) expectMove() { r.located = time.Time{} }

// locate finds out where supervisord's log is, if it is time to look.
func (r *logReader) locate(ctx context.Context) {
	now := time.Now()
	if !r.located.IsZero() && now.Sub(r.located) < relocateEvery {
		return
	}
	known := r.place.File
	if known != nil && !r.located.IsZero() {
		r.located = now
		return
	}
	r.located = now

	settings := r.cfg.Settings(r.cfg.SupervisorPID())
	who := ownlog.Supervisord{PID: r.cfg.SupervisorPID(), Settings: settings.OwnLog}
	if r.cfg.Journal != nil {
		who.LogEnd = r.cfg.Journal.End
	}
	place := ownlog.Find(ctx, who)
	if known != nil && place.File != nil && known.Path == place.File.Path {
		place.File.Close() // the same one: reading continues where it was
		place.File = known
	} else if known != nil {
		known.Close()
	}
	if place.File != known {
		r.feed = ownlog.Feed{}
	}
	r.feed.Mixed = r.feed.Mixed || place.Mixed
	r.place = place
	// Without the lines of starts no life is known.
	r.log.Suspect = r.log.Suspect || place.Loglevel == "warn"

	r.report(place.Status(r.cfg.Server != nil))
	r.onLocate(settings, &r.place)
}

// report raises or clears what is known to be wrong with supervisord's log.
func (r *logReader) report(s schema.Reasons) {
	if r.status.Swap(&s) == nil {
		close(r.found)
	}

	switch {
	case s.Problem != "" && r.cfg.KernelKnows(): // reportMissing raises it
	case s.Problem != "":
		r.cfg.Raise(troubleReasons, s.Problem, s.Fix)
	case s.Source == schema.ReasonsFile:
		r.cfg.Clear(troubleReasons)
	}

	if r.place.File == nil {
		return
	}
	if text, fix := r.place.File.Trouble(); text != "" {
		r.cfg.Raise(troubleRotated, text, fix)
	} else {
		r.cfg.Clear(troubleRotated)
	}
}

// reportMissing raises or clears the trouble of a log that says too little where the kernel
// was to say how processes end: some deaths have come, with a reason or without one.
func (r *logReader) reportMissing(deaths []Received) {
	s := r.status.Load()
	if s == nil || s.Problem == "" || !r.cfg.KernelKnows() {
		return
	}

	missing := slices.ContainsFunc(deaths, func(d Received) bool { return d.Event.Exit == nil })
	if missing {
		r.cfg.Raise(troubleReasons, s.Problem, s.Fix)
	} else {
		r.cfg.Clear(troubleReasons)
	}
}

// more reads what is new of supervisord's log, once per call of Explain or Follow, and
// reports whether there was any.
func (r *logReader) more(ctx context.Context) bool {
	now := time.Now()
	if r.done {
		return false
	}
	r.done = true
	r.locate(ctx)

	oldest := r.oldestOr(now)
	end := r.log.End()
	first := end == 0 && (r.place.File != nil || r.cfg.Journal == nil || !r.cfg.Journal.Placed())
	switch {
	case r.place.File != nil:
		r.readFile()
	case r.place.None || r.cfg.Journal == nil || !r.rpc.mayReadLog(now):
		return false
	default:
		r.readJournal(ctx, oldest)
	}
	r.log.NoteRead(time.Now())

	if first {
		// What is before the last start may be of another life of supervisord.
		if n := r.log.Started(oldest.Add(replay.ClockSlack)); n >= 0 {
			r.log.CutBefore(n)
		}
	}
	return r.log.End() > end
}

func (r *logReader) readFile() {
	file := r.place.File
	r.feed.Ahead = file.Zone()
	done, err := file.Read(func(lines string, gap bool) {
		if gap {
			r.addGap(lines)
		}
		r.feed.Take(lines, r.log.Add)
	})
	r.log.Complete = done

	if err != nil {
		r.close()
		r.place.Problem = fmt.Sprintf("supervisord's log cannot be read (%v)", err)
		r.place.Fix = "let the bridge's user read " + r.place.Logfile
	}
	r.report(r.place.Status(r.cfg.Server != nil))
}

func (r *logReader) readJournal(ctx context.Context, oldest time.Time) {
	farEnough := func(lines string) bool {
		since, ok := ownlog.FirstTime(lines)
		return !ok || !since.After(oldest.Add(-backlog))
	}
	done, err := r.cfg.Journal.Read(ctx, farEnough, func(lines string, gap bool) {
		r.feed.Ahead = ownlog.ZoneAhead(lines, time.Now(), replay.ClockSlack)
		if gap {
			r.addGap(lines)
		}
		r.feed.Take(lines, r.log.Add)
	})
	r.log.Complete = done

	var unreadable interface{ Unreadable() bool }
	switch {
	case err == nil:
		r.rpc.logAnswered()
		r.reportJournal()
	case errors.As(err, &unreadable) && unreadable.Unreadable():
		r.rpc.logUnreadable(fmt.Errorf("%w: most deaths have no reason; see logfile= of [supervisord]", err))
		r.report(schema.Reasons{
			Source: schema.ReasonsNone, Fix: ownlog.SetLogfile,
			Problem: err.Error() + ": most deaths have no reason",
		})
	default:
		r.rpc.failed(err)
	}
}

// reportJournal reports whether there is anything in a log that could be read.
func (r *logReader) reportJournal() {
	if !r.log.Complete || r.log.HasLines {
		r.cfg.Clear(troubleReasons)
		return
	}
	r.report(schema.Reasons{
		Source: schema.ReasonsNone, Fix: ownlog.SetLogfile,
		Problem: "supervisord's log says nothing of its programs (logfile=/dev/null, or loglevel=error?): " +
			"most deaths have no reason",
	})
}

// addGap notes that lines may be missing before some.
func (r *logReader) addGap(lines string) {
	since, ok := ownlog.FirstTime(lines)
	if !ok {
		since = time.Now()
	}
	first := r.log.End() == 0
	r.log.Add(ownlog.Line{Kind: ownlog.Gap, At: since.Add(-r.feed.Ahead)})
	r.log.Early = first && r.cfg.Fresh()
}
