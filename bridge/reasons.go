package bridge

import (
	"context"
	"errors"

	"supernats/bridge/deathreason"
	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/deathreason/programlog"
	"supernats/bridge/deaths"
	"supernats/bridge/pulse"
	"supernats/bridge/supervisord"
	"supernats/bridge/supervisordconf"
	"supernats/schema"
)

// newReasons returns what finds out why processes died.
func (b *Bridge) newReasons() *deathreason.Reasons {
	cfg := deathreason.Config{
		Boot: b.life.String(), Tail: int(b.cfg.LogTail), Warn: b.server.answers.Failed,
		SupervisorPID: b.life.SupervisorPID, Fresh: func() bool { return b.life.Together() }, Settings: logSettings,
		Raise: b.troubles.Raise, Clear: b.troubles.Clear, Differs: b.reportDifference,
		KernelKnows: func() bool { return b.deaths.ReportsExits() },
	}
	if client := b.server.client; client != nil {
		cfg.Server, cfg.Journal = reasonServer{client}, client.OwnLog()
	}
	return deathreason.New(cfg)
}

// reasonServer lets deathreason ask a supervisord.
type reasonServer struct{ *supervisord.Client }

// ReadProcessLogs implements deathreason.Server.
func (s reasonServer) ReadProcessLogs(ctx context.Context, parts []deathreason.LogPart) ([]*string, error) {
	asked := make([]supervisord.LogPart, len(parts))
	for i, p := range parts {
		asked[i] = supervisord.LogPart(p)
	}
	return s.Client.ReadProcessLogs(ctx, asked)
}

// logSettings is what the command line and the configuration of a supervisord say of logs.
func logSettings(pid int) deathreason.Settings {
	running, err := supervisordconf.ReadRunning(pid)
	s := deathreason.Settings{OwnLog: ownlog.Settings{
		Logfile: running.Logfile, Loglevel: running.Loglevel, Hidden: running.Hidden,
		Outputs: running.Config.Outputs(), Err: err,
	}}
	for _, p := range running.Config.Programs() {
		s.Programs = append(s.Programs, programlog.Program(p))
	}
	return s
}

// reportDifference reports that supervisord's log and the kernel say different things.
func (b *Bridge) reportDifference(e *schema.Event, kernel, log *schema.Exit) {
	b.metrics.Disagreement()
	b.log.Warn().Str("process", e.Group+":"+e.Process).Uint64("serial", e.Serial).
		Str("kernel", deaths.SupervisordWords(kernel)).Str("supervisord", deaths.SupervisordWords(log)).
		Msg("supervisord's log says otherwise than the kernel how a process ended; the kernel is right")
}

var errNoDeaths = errors.New("this section is not subscribed to all deaths")

// followDeaths opens supervisord's log for lateDeaths. In a section for output no
// death has an event.
func (b *Bridge) followDeaths(ctx context.Context) (pulse.DeathLog, error) {
	if !b.section.SeesAllDeaths(b.life.Pool()) {
		return nil, errNoDeaths
	}

	pid := b.life.SupervisorPID()
	who := ownlog.Supervisord{PID: pid, Settings: logSettings(pid).OwnLog}
	if client := b.server.client; client != nil {
		who.LogEnd = client.OwnLog().End
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
		written[i] = pulse.Death{Process: d.Process, Reason: deaths.SupervisordWords(d.Exit)}
	}
	return written, err
}

func (w writtenDeaths) Close() { w.log.Close() }
