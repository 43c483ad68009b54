package bridge_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A death is an event at once, not when supervisord's poll is over.
func TestDeathWakesSupervisord(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	sections := conf(t, "--nats-url", nats.URL, "--host", "web1")
	sections += "\n[program:p]\ncommand=sleep 1000\nautorestart=true\nstartsecs=0\n"
	s := supervisordtest.Start(t, sections)
	js := nats.JetStream()
	waitStored(t, js, stream.AllEvents, 1)
	sub, err := js.Conn().SubscribeSync("supervisor.event.*.*.*.process_state.exited")
	if err != nil {
		t.Fatal(err)
	}
	var waits []time.Duration
	for i := range 15 {
		pid, err := strconv.Atoi(strings.TrimSpace(s.MustCtl(t, "pid", "p")))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(300+i*37) * time.Millisecond)
		begun := time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m, err := sub.NextMsg(10 * time.Second)
		if err != nil || !strings.Contains(string(m.Data), fmt.Sprintf(`"pid":%d`, pid)) {
			t.Fatal(err, m)
		}
		waits = append(waits, time.Since(begun))
		if i == 0 {
			t.Log(string(m.Data))
		}
	}
	t.Log(waits)
	slices.Sort(waits)
	t.Log("p50", waits[len(waits)/2], "max", waits[len(waits)-1])
	if p50 := waits[len(waits)/2]; p50 > 500*time.Millisecond {
		t.Errorf("half of the deaths took more than %v to become an event", p50)
	}
}

// Without a word in supervisord's log every death has its reason, those of programs
// that die at once too.
func TestReasonsFromTheKernel(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	dir := supervisordtest.Dir(t)
	sections := conf(t, "--nats-url", nats.URL, "--host", "web1") + `
[program:quick]
command=sh -c "exit 42"
startsecs=0
autorestart=true

[program:never]
command=sh -c "exit 3"
startretries=3
`
	if err := supervisordtest.WriteConf(dir, "supervisor", sections); err != nil {
		t.Fatal(err)
	}
	silence(t, dir)
	supervisordtest.StartIn(t, dir)
	js := nats.JetStream()
	exits := waitStored(t, js, "supervisor.event.*.*.*.process_state.exited", 200)
	with := 0
	for _, m := range exits {
		if e := event(t, m); e.Exit != nil && e.Exit.Code != nil && *e.Exit.Code == 42 {
			with++
		}
	}
	t.Logf("%d of %d exits have their reason", with, len(exits))
	for _, kind := range []string{"backoff", "fatal"} {
		for _, m := range waitStored(t, js, "supervisor.event.*.*.*.process_state."+kind, 1) {
			t.Log(kind, event(t, m).Exit)
		}
	}
}

func silence(t *testing.T, dir string) {
	t.Helper()
	b, err := os.ReadFile(dir + "/supervisord.conf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/supervisord.conf", []byte(strings.Replace(string(b), "loglevel=info", "loglevel=error", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
