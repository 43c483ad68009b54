package deathreason

import (
	"context"
	"fmt"
	"testing"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/deathreason/programlog"
	"supernats/bridge/supervisord"
	"supernats/bridge/supervisordconf"
)

// server is a client of supervisord, as package bridge hands it over.
type server struct{ *supervisord.Client }

func (s server) ReadProcessLogs(ctx context.Context, parts []LogPart) ([]*string, error) {
	asked := make([]supervisord.LogPart, len(parts))
	for i, p := range parts {
		asked[i] = supervisord.LogPart(p)
	}
	return s.Client.ReadProcessLogs(ctx, asked)
}

// settingsOf reads the configuration of a supervisord, as package bridge does.
func settingsOf(pid int) Settings {
	running, err := supervisordconf.ReadRunning(pid)
	s := Settings{OwnLog: ownlog.Settings{
		Logfile: running.Logfile, Loglevel: running.Loglevel, Hidden: running.Hidden,
		Outputs: running.Config.Outputs(), Err: err,
	}}
	for _, p := range running.Config.Programs() {
		s.Programs = append(s.Programs, programlog.Program(p))
	}
	return s
}

// asks sets the XML-RPC that is asked.
func asks(c *supervisord.Client) func(*Config) {
	return func(cfg *Config) { cfg.Server, cfg.Journal = server{c}, c.OwnLog() }
}

// hideFiles hides supervisord's files, so that its log is read over XML-RPC.
func hideFiles(cfg *Config) { cfg.SupervisorPID = func() int { return 0 } }

func ignoreWarnings(cfg *Config) { cfg.Warn = func(error) {} }

// newReasons returns Reasons of a running supervisord, whose warnings fail the test.
func newReasons(tb testing.TB, f *fixture, tail int, options ...func(*Config)) *Reasons {
	cfg := Config{
		Boot: testBoot, Tail: tail, SupervisorPID: f.PID, Settings: settingsOf,
		Limit: 20 * time.Second, // the machine may be busy
		Warn:  func(err error) { tb.Errorf("warning: %v", err) },
	}
	asks(f.client(tb))(&cfg)
	for _, o := range options {
		o(&cfg)
	}
	r := New(cfg)
	tb.Cleanup(r.Close)
	return r
}

func newClient(tb testing.TB, cfg supervisord.Config) *supervisord.Client {
	tb.Helper()
	c, err := supervisord.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// response is an answer of XML-RPC.
func response(value string) string {
	return fmt.Sprintf("<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value>%s</value>\n</param>\n</params>\n</methodResponse>\n", value)
}
