package bridge_test

import (
	"fmt"
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
