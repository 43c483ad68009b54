package bridge

import (
	"context"
	"fmt"

	"supernats/schema"
)

const troubleWatch = "watch"

// watchDeaths begins to watch how supervisord's programs end, where that is possible.
// run does it until its context ends; it is nil where there is nothing to watch. A
// section for output has no use for it.
func (b *Bridge) watchDeaths() (run func(context.Context)) {
	if !b.sees(schema.ProcessStateExited) {
		return nil
	}
	var touch func(context.Context) error
	if b.server != nil {
		touch = b.server.Touch
	}
	w := newWaker(touch, b.log)
	w.off.Store(!b.cfg.Wake)
	d, err := newDeaths(b.life.evidence.LocalPID(), w)
	if err != nil {
		b.watched.Store(&schema.Watch{Problem: err.Error()})
		b.log.Info().Err(err).Msg("deaths are known from supervisord only, up to a second later")
		return nil
	}

	said := d.describe(b.cfg.Wake)
	b.watched.Store(said)
	log := b.log.Info().Strs("exits", said.Exits).Str("wake", said.Wake).Int("limit", said.Limit)
	if said.Problem != "" {
		log.Str("problem", said.Problem)
	}
	log.Msg("supervisord's programs are watched")
	b.deaths.Store(d)
	return func(ctx context.Context) { d.run(ctx, b.watchLimited) }
}

// describe says what is watched, and what is in the way.
func (d *deaths) describe(wake bool) *schema.Watch {
	said := &schema.Watch{Limit: d.limit}
	if d.watch.Tells() {
		said.Exits = append(said.Exits, schema.WatchPidfd)
	}
	if d.watch.Connected() {
		said.Exits = append(said.Exits, schema.WatchConnector)
	}
	switch {
	case !wake:
	case d.waker.touch != nil:
		said.Wake = schema.WakeByConnection
	default:
		said.Wake = schema.WakeByLine
	}

	switch {
	case len(said.Exits) == 0:
		said.Problem = "the kernel does not say how processes end (Linux 6.15 is needed, or CAP_NET_ADMIN in the initial namespaces): supervisord's log does"
	case !d.watch.Connected() && !d.watch.Sees():
		said.Problem = "/proc is hidden: programs that die before supervisord takes them for RUNNING are not watched"
	}
	if trouble := d.memory.Trouble(); trouble != "" {
		if said.Problem != "" {
			said.Problem += "; "
		}
		said.Problem += "programs that run out of memory are reported as killed only: " + trouble
	}
	return said
}

// watchLimited reports processes that there is no descriptor for.
func (b *Bridge) watchLimited(watched, refused int) {
	if refused == 0 {
		b.troubles.Clear(troubleWatch)
		return
	}
	b.troubles.Raise(troubleWatch,
		fmt.Sprintf("%d of %d processes are not watched, their deaths are reported up to a second later: the limit of open files is too low", refused, watched+refused),
		fmt.Sprintf("raise the hard limit of open files of supervisord above %d (LimitNOFILE= of its systemd unit, or ulimit -Hn), and restart it", watched+refused+2*reservedFiles))
}

// differs reports that supervisord's log and the kernel say different things.
func (b *Bridge) differs(e *schema.Event, kernel, log *schema.Exit) {
	b.metrics.disagreements.Inc()
	b.log.Warn().Str("process", e.Group+":"+e.Process).Uint64("serial", e.Serial).
		Str("kernel", exitText(kernel)).Str("supervisord", exitText(log)).
		Msg("supervisord's log says otherwise than the kernel how a process ended; the kernel is right")
}

// watchStats are what metrics show of the watch.
func (b *Bridge) watchStats() (watched, refused int, wakes uint64) {
	d := b.deaths.Load()
	if d == nil {
		return 0, 0, 0
	}
	watched, refused, _ = d.watch.Stats()
	return watched, refused, d.waker.wakes.Load()
}
