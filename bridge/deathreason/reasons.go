package deathreason

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/deathreason/programlog"
	"supernats/bridge/deathreason/replay"
	"supernats/schema"
)

// Reasons finds out why processes died. It belongs to one listener and one boot. Its
// methods may be called from several goroutines. They wait for each other, except for Note,
// SetBoot and Status, which do not block.
type Reasons struct {
	cfg  Config
	boot atomic.Pointer[string]

	// turn guards what is below it. missed means that events were not seen because another
	// goroutine had the turn for too long.
	turn   turn
	missed atomic.Bool

	rpc    rpc
	reader logReader
	replay *replay.Replay
	events sequence
	memory memory
	asker  asker

	// logs are those of the programs. They guard themselves.
	logs *programlog.Logs
}

// New starts without knowledge: the first event is the first that it knows of. The caller
// closes it.
func New(cfg Config) *Reasons {
	r := &Reasons{cfg: cfg.withDefaults(), turn: newTurn(), memory: newMemory(), logs: programlog.New()}
	log := replay.NewHistory()
	r.events.memory = &r.memory
	r.rpc.cfg = &r.cfg
	r.reader = logReader{
		cfg: &r.cfg, rpc: &r.rpc, log: log, found: make(chan struct{}),
		oldestOr: r.events.oldestOr, onLocate: r.located,
	}
	r.replay = replay.New(log, r.reader.more)
	r.asker = asker{cfg: &r.cfg, rpc: &r.rpc, logs: r.logs}
	r.SetBoot(cfg.Boot)
	return r
}

// SetBoot changes Config.Boot, before any event of it is explained.
func (r *Reasons) SetBoot(boot string) { r.boot.Store(&boot) }

// Status says where the reasons come from, and what is in the way of having all; nil if
// that is not known within a time.
func (r *Reasons) Status(wait time.Duration) *schema.Reasons {
	select {
	case <-r.reader.found:
	case <-time.After(wait):
	}
	return r.reader.status.Load()
}

// Close closes supervisord's log.
func (r *Reasons) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Limit)
	defer cancel()
	if !r.turn.take(ctx) {
		return
	}
	defer r.turn.end()
	r.reader.close()
}

// Note takes note of an event at once, before it is explained: where the logs end now, this
// life of its process ended. It does not block. What comes faster than files can be
// looked at is dropped, and the next life's log then begins too early.
func (r *Reasons) Note(event string, serial uint64, payload []byte) {
	if r.cfg.Tail > 0 {
		r.logs.Note(event, serial, payload)
	}
}

// Run looks at the logs of the programs when they die, until ctx ends.
func (r *Reasons) Run(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, r.cfg.Limit)
	if r.turn.take(limited) {
		r.reader.locate(limited)
		r.turn.end()
	}
	cancel()

	var newborn sync.WaitGroup
	newborn.Go(func() { r.learnNewborn(ctx) })
	r.logs.Run(ctx)
	newborn.Wait()
}

// Explain fills Exit and Log of the deaths in a batch, where they can be found out: of
// PROCESS_STATE_EXITED with expected false, PROCESS_STATE_BACKOFF and PROCESS_STATE_FATAL.
// Log is that of EXITED and FATAL, and only of the last one of a process in the batch: what
// it wrote has nothing to do with the death before. What is set already stays.
//
// It has to be given every event of the listener, of any name, in order: by the others it
// knows which line of the log belongs to which, and whether any were lost. An event that it
// has seen before gets the same reason again.
//
// It looks for reasons only if something in the batch died. Files are read where that is
// possible. Otherwise it calls supervisord, once in most cases for the log and once for the
// tails, whatever the size of the batch, and never waits longer than the limit.
//
// A file system or a supervisord that does not answer costs the limit once; until it does
// there are no reasons, and no waiting.
func (r *Reasons) Explain(ctx context.Context, batch []Received) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Limit)
	defer cancel()
	if !r.begin(ctx) {
		r.missed.Store(true)
		return
	}
	if r.missed.Swap(false) {
		r.events.lost = true
	}

	deaths, found := r.note(batch)
	if len(deaths) == 0 {
		r.turn.end()
		return
	}

	done := r.turn.finish(r.cfg.Limit, func() {
		made := r.follow(ctx)
		preferKernel(found, r.cfg.Differs)
		r.complete(ctx, found, made)
		r.reader.reportMissing(found)
	})
	if !done {
		return
	}
	for i, e := range deaths {
		e.Event.Exit, e.Event.Log = found[i].Event.Exit, found[i].Event.Log
	}
}

// Follow reads what supervisord has logged since. Without it a rotation of the log, long
// after anything has died, may take away lines that the next death needs. It costs little;
// with every snapshot is often enough.
func (r *Reasons) Follow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Limit)
	defer cancel()
	if !r.begin(ctx) {
		return
	}
	r.turn.finish(r.cfg.Limit, func() {
		r.reader.more(ctx)
		r.follow(ctx)
	})
}

// Know takes the process table of a snapshot: which names several groups have, for the log
// does not distinguish them, and where the programs log.
func (r *Reasons) Know(table []schema.SnapshotProcess) {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Limit)
	defer cancel()
	if !r.turn.take(ctx) {
		return
	}
	r.turn.finish(r.cfg.Limit, func() {
		r.reader.log.ShareNames(table)
		r.logs.Know(table)
		r.reportLogs()
	})
}

// begin takes the turn for a call that reads the log.
func (r *Reasons) begin(ctx context.Context) bool {
	if !r.turn.take(ctx) {
		return false
	}
	r.reader.beginCall()
	return true
}

// note puts the events of a batch among those to be followed. It returns the deaths, and
// copies of them to be filled: a goroutine that is held up by a file may write into those
// long after the events are gone.
func (r *Reasons) note(batch []Received) (deaths, copies []Received) {
	boot := *r.boot.Load()
	for _, e := range batch {
		if e.Event.Boot != boot {
			continue
		}
		if isDeath(e.Event) {
			own := *e.Event
			deaths = append(deaths, e)
			e.Event = &own
			copies = append(copies, e)
		}
		if r.events.note(e, r.isGoPort()) && e.Event.Event == schema.SupervisorStateChangeRunning {
			r.reader.expectMove()
		}
	}
	return deaths, copies
}

// isGoPort reports whether this is the Go port of supervisord.
func (r *Reasons) isGoPort() bool {
	return r.reader.log.GoPort || r.cfg.Server != nil && r.cfg.Server.IsGoPort()
}

// follow goes through the events that wait. It returns before when the deaths without a
// reason cannot have been, by their serials.
func (r *Reasons) follow(ctx context.Context) (made map[uint64]time.Time) {
	made = map[uint64]time.Time{}
	r.replay.Expect(r.events.steps)
	for i := range r.events.steps {
		s := &r.events.steps[i]
		exit := r.replay.Take(ctx, s)
		switch {
		case s.Death == nil:
		case exit != nil:
			r.memory.explain(s.Death, fromLog(exit))
		default:
			made[s.Serial] = r.replay.From()
		}
	}
	r.events.clear()
	return made
}

// located takes where supervisord logs.
func (r *Reasons) located(settings Settings, at *ownlog.Location) {
	r.logs.Configure(settings.Programs, at.File.Inode(), r.cfg.SupervisorPID(), r.cfg.Fresh())
	r.reportLogs()
}

// reportLogs raises or clears what is known to be wrong with the logs of the programs.
func (r *Reasons) reportLogs() {
	if text, fix := r.logs.Trouble(); text != "" && r.cfg.Tail > 0 {
		r.cfg.Raise(troubleTail, text, fix)
	} else {
		r.cfg.Clear(troubleTail)
	}
}
