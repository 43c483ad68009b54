package bridge

import (
	"context"
	"errors"

	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/deaths"
	"supernats/bridge/pulse"
)

var errNoDeaths = errors.New("this section is not subscribed to all deaths")

// followDeaths opens supervisord's log for lateDeaths. In a section for output no
// death has an event.
func (b *Bridge) followDeaths(ctx context.Context) (pulse.DeathLog, error) {
	if !b.section.SeesAllDeaths(b.life.Pool()) {
		return nil, errNoDeaths
	}
	pid := b.SupervisorPID()
	who := ownlog.Supervisord{PID: pid, Settings: logSettings(pid).OwnLog}
	if b.server != nil {
		who.LogEnd = b.server.OwnLog().End
	}
	log, err := ownlog.FollowDeaths(ctx, who)
	if err != nil {
		return nil, err
	}
	return writtenDeaths{log}, nil
}

// writtenDeaths are the deaths of supervisord's log, with their reasons for people.
type writtenDeaths struct{ log *ownlog.Deaths }

func (w writtenDeaths) Next(ctx context.Context) ([]pulse.Death, error) {
	ends, err := w.log.Next(ctx)
	written := make([]pulse.Death, len(ends))
	for i, d := range ends {
		written[i] = pulse.Death{Process: d.Process, Reason: deaths.ExitText(d.Exit)}
	}
	return written, err
}

func (w writtenDeaths) Close() { w.log.Close() }
