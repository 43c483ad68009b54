package supervisord

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	f := start(t, `
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
`)
	f.collect(t, "FATAL and EXITED", func(e []Received) bool {
		return count(e, schema.ProcessStateFatal) == 1 && count(e, schema.ProcessStateExited) == 1
	})

	t.Run("unix", func(t *testing.T) { checkSnapshot(t, f, f.client(t)) })
	for _, url := range []string{"http://" + addr, "http://" + addr + "/RPC2"} {
		c := newClient(t, Config{URL: url, Username: "operator", Password: "s3cr et:é"})
		t.Run(url, func(t *testing.T) { checkSnapshot(t, f, c) })
	}
	c := newClient(t, Config{URL: "http://operator:s3cr%20et%3A%C3%A9@" + addr, Username: "other", Password: "wrong"})
	t.Run("user in the URL", func(t *testing.T) { checkSnapshot(t, f, c) })
	for _, cfg := range []Config{{URL: "http://" + addr}, {URL: "http://operator:wrong@" + addr}, {URL: "http://" + addr, Username: "other"}} {
		if _, _, err := newClient(t, cfg).Snapshot(t.Context()); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func checkSnapshot(t *testing.T, f *fixture, c *Client) {
	t.Helper()
	snap, pid, err := c.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(f.Dir + "/supervisord.pid"); err != nil || strings.TrimSpace(string(b)) != strconv.Itoa(pid) {
		t.Errorf("pid %d, not %q, %v", pid, b, err)
	}
	if snap.Server != "supervisor" || snap.SupervisorState != "RUNNING" || !strings.HasPrefix(snap.SupervisorVersion, "4.") {
		t.Errorf("%+v", snap)
	}
	got := map[string]schema.SnapshotProcess{}
	for _, p := range snap.Processes {
		got[p.Group+":"+p.Process] = p
	}
	if p := got["cat:cat_01"]; p.State != "RUNNING" || p.PID == 0 || p.Start == 0 || !strings.Contains(p.Description, "uptime") || p.StdoutLogfile == "" {
		t.Errorf("%+v", p)
	}
	if p := got["my.app-weird*>é(x):my.app-weird*>é(x)"]; p.State != "EXITED" || p.ExitStatus != 1 || p.PID != 0 || p.Stop == 0 || p.StdoutLogfile != "" {
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
	snap.Host, snap.Boot, snap.Serial, snap.Reason = "host", testBoot, 1, "start"
	validate(t, "snapshot", snap.Envelope(time.Now()))
}

// validate checks a record against its JSON Schema.
func validate(tb testing.TB, name string, v any) {
	tb.Helper()
	path := "../../schema/" + name + ".schema.json"
	file, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		tb.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(path, doc); err != nil {
		tb.Fatal(err)
	}
	b, err := schema.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		tb.Fatal(err)
	}
	if err := compiler.MustCompile(path).Validate(instance); err != nil {
		tb.Errorf("%s: %v", b, err)
	}
}

// TestSnapshotAtShutdown: from the moment that it is told to stop, supervisord
// answers nothing but that (rpcinterface.py _update).
func TestSnapshotAtShutdown(t *testing.T) {
	t.Parallel()
	f := start(t, `
[program:stubborn]
command=sh -c "trap '' TERM; echo ready; while :; do sleep 0.1; done"
stopwaitsecs=3
stdout_logfile=DIR/stubborn.log
startsecs=0
`)
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		b, _ := os.ReadFile(f.Dir + "/stubborn.log")
		return string(b) == "ready\n"
	}, "the program")
	stopped := make(chan error, 1)
	go func() { stopped <- f.Stop() }()
	f.WaitLog(t, " to die", 1)
	_, _, err := f.client(t).Snapshot(t.Context())
	var fault *Fault
	if !errors.As(err, &fault) || fault.Code != FaultShutdownState {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
