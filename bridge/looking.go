package bridge

import (
	"context"

	"supernats/bridge/look"
	"supernats/schema"
)

// followLives prepares looks at processes, where that is possible; where it is not, the
// events of deaths do without, and that is said once.
func (b *Bridge) followLives() {
	if !b.sees(schema.ProcessStateExited) {
		return // a section for output
	}
	l := newLives(nil, b.life.together)
	defer b.lives.Store(l)
	evidence := &b.life.evidence
	if evidence.LocalPID() == 0 {
		b.log.Info().Msg("processes cannot be looked at: supervisord is in another pid namespace, or hidden")
		return
	}

	parent := evidence.LocalPID()
	if !evidence.Certain {
		parent = 0 // what started us may be a wrapper
	}
	looks, err := look.New(look.Config{Parent: parent, Say: func(err error) {
		b.log.Info().Err(err).Msg("not all processes are looked at while they run")
	}})
	if err != nil {
		b.log.Info().Err(err).Msg("processes cannot be looked at")
		return
	}
	l.looks = looks
}

// lookStats are how many processes are looked at, and how many there is no place for.
func (b *Bridge) lookStats() (looking, beyond int) {
	l := b.lives.Load()
	if l == nil || l.looks == nil {
		return 0, 0
	}
	return l.looks.Stats()
}

// run looks at processes until ctx ends.
func (l *lives) run(ctx context.Context) {
	if l == nil || l.looks == nil {
		return
	}
	_ = l.looks.Run(ctx)
	l.looks.Close()
}

// know takes a process table: where the kernel does not list children, that is how those
// are found which were running before us.
func (l *lives) know(processes []schema.SnapshotProcess) {
	if l == nil || l.looks == nil {
		return
	}
	for _, p := range processes {
		l.looks.Add(p.PID)
	}
}

// lookOf is a look in the words of the contract, nil if there was none.
func lookOf(l look.Look) *schema.Look {
	if l.Time.IsZero() {
		return nil
	}
	return &schema.Look{
		Time: schema.Time{Time: l.Time.UTC()}, RSS: l.RSS, PeakRSS: l.Peak, CPU: *seconds(l.CPU), Threads: l.Threads,
		Descriptors: l.Descriptors, Age: *seconds(l.Age),
	}
}
