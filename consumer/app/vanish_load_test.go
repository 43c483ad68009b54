package app

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/health"
	"supernats/schema"
	"supernats/schema/stream"
)

// crasher is a host whose processes crash one after the other, each once, as its bridge
// publishes it: what is not confirmed is sent again.
type crasher struct {
	in *installation

	mu     sync.Mutex
	stored map[string]crashAt // by process
	serial uint64
}

// crashAt says of which host a crash was confirmed, and when.
type crashAt struct {
	host string
	at   time.Time
}

// perHost is less than the processes and alerts that one host may have.
const perHost = 5000

func (l *crasher) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		process, host := fmt.Sprintf("load_%05d", n), fmt.Sprintf("web%d", 2+n/perHost)
		for _, name := range crash {
			l.publish(ctx, host, process, name)
		}
		if ctx.Err() == nil {
			l.mu.Lock()
			l.stored[process] = crashAt{host, time.Now()}
			l.mu.Unlock()
		}
		_ = health.Sleep(ctx, 5*time.Millisecond)
	}
}

func (l *crasher) publish(ctx context.Context, host, process, name string) {
	l.serial++
	no := false
	e := &schema.Event{
		Event: name, Host: host, Server: "supervisor", Boot: "1111111111111111", Pool: "supernats",
		Group: "api", Process: process, Serial: l.serial, PoolSerial: l.serial,
	}
	if name == schema.ProcessStateExited {
		e.Expected = &no
	}
	ce := e.Envelope(time.Now())
	data, err := schema.Marshal(ce)
	for err == nil && ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		_, e := l.in.JS.Publish(short, ce.Data.Subject(), data,
			jetstream.WithMsgID(ce.ID), jetstream.WithRetryAttempts(0))
		cancel()
		if e == nil {
			return
		}
		_ = health.Sleep(ctx, 20*time.Millisecond)
	}
}

// unnotified are the processes whose crash was stored and not notified yet, but for those
// that are left out.
func (l *crasher) unnotified(but map[string]bool) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for process := range l.stored {
		if !but[process] && l.in.hook.notified(process) == 0 {
			names = append(names, process)
		}
	}
	return names
}

var vanishLoad = flag.Bool("vanish.load", false, "take everything on NATS away in turn, under load")

// Under load every stream, bucket and consumer is deleted in turn, restored from a backup
// of the beginning, and the store is lost, with one daemon that is never restarted: every
// later crash is notified once, and every state is right.
func TestEverythingVanishesInTurnUnderLoad(t *testing.T) {
	if !*vanishLoad {
		t.Skip("a minute of load: `task storm` runs it, or -vanish.load")
	}
	in := install(t)
	in.crashes("begin")
	in.isNotified("begin")
	in.isSettled()
	in.Server.Stop()
	backup := in.Server.Backup()
	in.Server.Restart()
	in.crashes("begun")
	in.isNotified("begun")

	l := &crasher{in: in, stored: map[string]crashAt{}}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(ctx)
	}()

	all := removals()
	for _, name := range append([]string{""}, stream.Names()...) {
		all["restore "+name] = func(in *installation) error {
			in.Server.Stop()
			if name == "" {
				in.Server.Restore(backup)
			} else {
				in.Server.Restore(backup, name)
			}
			in.Server.Restart()
			return nil
		}
	}
	// What is on its way when something vanishes may be lost with it.
	lost := map[string]bool{}
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(name, "make again KV") || strings.HasPrefix(name, "purge KV") {
			continue // as when they are deleted
		}
		in.isWhole()
		waiting := l.unnotified(nil)
		if err := all[name](in); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, process := range append(waiting, l.unnotified(lost)...) {
			lost[process] = true
		}
		process := fmt.Sprintf("after_%02d", i)
		in.crashes(process)
		begun := time.Now()
		in.isNotified(process)
		t.Logf("%s: notified after %v", name, time.Since(begun).Round(time.Millisecond))
	}
	time.Sleep(time.Second)
	end()
	<-done

	defer func() {
		if !t.Failed() {
			return
		}
		for _, process := range l.unnotified(lost) {
			t.Logf("not notified: %s, stored at %v", process, l.stored[process].at.Format(time.StampMilli))
		}
		for line := range strings.SplitSeq(in.log.String(), "\n") {
			if !strings.Contains(line, `"level":"info"`) {
				t.Log(line)
			}
		}
	}()
	in.Until("every later crash is notified", func() bool { return len(l.unnotified(lost)) == 0 })
	for process := range l.stored {
		if n := in.hook.notified(process); n > 1 {
			t.Errorf("%s is notified %d times", process, n)
		}
	}
	var wrong string
	defer func() {
		if t.Failed() {
			t.Log(wrong)
		}
	}()
	in.Until("states are right", func() bool {
		kv, err := in.JS.KeyValue(t.Context(), stream.StateBucket)
		if err != nil {
			return false
		}
		for process, c := range l.stored {
			if lost[process] {
				continue
			}
			e, err := kv.Get(t.Context(), c.host+".api."+process)
			if err != nil {
				wrong = fmt.Sprintf("%s, stored at %v: %v", process, c.at, err)
				return false
			}
			var s schema.ProcessRecord
			if in.Unmarshal(e.Value(), &s); s.State != "EXITED" || s.UnexpectedExits != 1 {
				wrong = fmt.Sprintf("%s, stored at %v: %+v", process, c.at, s)
				return false
			}
		}
		return true
	})
	t.Logf("%d crashes", len(l.stored))
}
