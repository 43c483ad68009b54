package bridge

import (
	"context"

	"supernats/bridge/deathreason"
	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/deathreason/programlog"
	"supernats/bridge/supervisord"
	"supernats/bridge/supervisordconf"
)

// newReasons returns what finds out why processes died.
func (b *Bridge) newReasons() *deathreason.Reasons {
	cfg := deathreason.Config{
		Boot: b.life.String(), Tail: int(b.cfg.LogTail), Warn: b.answers.Failed,
		SupervisorPID: b.SupervisorPID, Fresh: func() bool { return b.life.Together() }, Settings: logSettings,
		Raise: b.troubles.Raise, Clear: b.troubles.Clear, Differs: b.differs,
	}
	if b.server != nil {
		cfg.Server, cfg.Journal = reasonServer{b.server}, b.server.OwnLog()
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
