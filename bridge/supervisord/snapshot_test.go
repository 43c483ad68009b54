package supervisord

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s := supervisordtest.Start(t, `
[inet_http_server]
port=`+addr+`
username=operator
password=s3cr et:é

[program:cat]
command=cat
process_name=%(program_name)s_%(process_num)02d
numprocs=2
startsecs=0
[program:my.app-weird*>é(x)]
command=false
startsecs=0
autorestart=false
stdout_logfile=NONE
[program:missing]
command=/nonexistent/missing
startretries=0
[program:never]
command=cat
autostart=false
[program:another]
command=cat
`)
	s.WaitLog(t, "entered FATAL state", 1)
	s.WaitLog(t, "exited: ", 1)

	t.Run("unix", func(t *testing.T) { checkSnapshot(t, s, clientOf(t, s)) })
	for _, url := range []string{"http://" + addr, "http://" + addr + "/RPC2"} {
		c := newClient(t, Config{URL: url, Username: "operator", Password: "s3cr et:é"})
		t.Run(url, func(t *testing.T) { checkSnapshot(t, s, c) })
	}
	c := newClient(t, Config{URL: "http://operator:s3cr%20et%3A%C3%A9@" + addr, Username: "other", Password: "wrong"})
	t.Run("user in the URL", func(t *testing.T) { checkSnapshot(t, s, c) })
	for _, cfg := range []Config{
		{URL: "http://" + addr}, {URL: "http://operator:wrong@" + addr}, {URL: "http://" + addr, Username: "other"},
	} {
		if _, _, err := newClient(t, cfg).Snapshot(t.Context()); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func clientOf(tb testing.TB, s *supervisordtest.Supervisord) *Client {
	tb.Helper()
	return newClient(tb, Config{URL: "unix://" + s.Dir + "/supervisor.sock"})
}

func newClient(tb testing.TB, cfg Config) *Client {
	tb.Helper()
	c, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func checkSnapshot(t *testing.T, s *supervisordtest.Supervisord, c *Client) {
	t.Helper()
	snap, pid, err := c.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(s.Dir + "/supervisord.pid"); err != nil ||
		strings.TrimSpace(string(b)) != strconv.Itoa(pid) {
		t.Errorf("pid %d, not %q, %v", pid, b, err)
	}
	if snap.Server != "supervisor" || snap.SupervisorState != "RUNNING" ||
		!strings.HasPrefix(snap.SupervisorVersion, "4.") {
		t.Errorf("%+v", snap)
	}
	got := map[string]schema.SnapshotProcess{}
	for _, p := range snap.Processes {
		got[p.Group+":"+p.Process] = p
	}
	if p := got["cat:cat_01"]; p.State != "RUNNING" || p.PID == 0 || p.Start == 0 ||
		!strings.Contains(p.Description, "uptime") || p.StdoutLogfile == "" {
		t.Errorf("%+v", p)
	}
	if p := got["my.app-weird*>é(x):my.app-weird*>é(x)"]; p.State != "EXITED" || p.ExitStatus != 1 || p.PID != 0 ||
		p.Stop == 0 || p.StdoutLogfile != "" {
		t.Errorf("%+v", p)
	}
	if p := got["missing:missing"]; p.State != "FATAL" || p.SpawnErr != "can't find command '/nonexistent/missing'" {
		t.Errorf("%+v", p)
	}
	if p := got["never:never"]; p.State != "STOPPED" || p.Start != 0 || p.Description != "Not started" {
		t.Errorf("%+v", p)
	}
	if len(got) != 6 {
		t.Errorf("%d processes", len(got))
	}
	snap.Host, snap.Boot, snap.Serial, snap.Reason = "host", "0123456789abcdef", 1, "start"
	schematest.Validate(t, "snapshot", snap.Envelope(time.Now()))
}

// TestSnapshotAtShutdown: from the moment that it is asked to stop, supervisord
// answers nothing but that (rpcinterface.py _update).
func TestSnapshotAtShutdown(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	dir := supervisordtest.Dir(t)
	if err := supervisordtest.WriteConf(dir, "supervisor", `
[program:stubborn]
command=sh -c "trap '' TERM; echo ready; while :; do sleep 0.1; done"
stopwaitsecs=3
stdout_logfile=`+dir+`/stubborn.log
startsecs=0
`); err != nil {
		t.Fatal(err)
	}
	s := supervisordtest.StartIn(t, dir)
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		b, _ := os.ReadFile(s.Dir + "/stubborn.log")
		return string(b) == "ready\n"
	}, "the program")
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	s.WaitLog(t, " to die", 1)
	_, _, err := clientOf(t, s).Snapshot(t.Context())
	var fault *Fault
	if !errors.As(err, &fault) || fault.Code != FaultShutdownState {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
