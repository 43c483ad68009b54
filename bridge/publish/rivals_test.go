package publish

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"supernats/bridge/publish/publishtest"
	"supernats/bridge/publish/rivals"
)

// booted is a bridge of a boot that has an event of one of some processes every few
// milliseconds, until the test ends or stop is called.
func booted(t *testing.T, url, boot string, processes ...string) (l *troubleLog, stop func()) {
	t.Helper()
	recs := make([]string, 10_000)
	for i := range recs {
		recs[i] = fmt.Sprintf("%s/%d", boot, i)
	}
	src := newSource(recs...).allow(0)
	cfg := config(url, src)
	var again atomic.Int64
	fenced(&again)(&cfg)
	l = new(troubleLog)
	l.watch(&cfg)
	self := &cfg.Fence.Self
	self.Boot = boot
	self.Processes = func() map[string]bool {
		table := map[string]bool{}
		for _, name := range processes {
			table[name] = true
		}
		return table
	}
	self.IsListener = func(group string) bool { return group == "supernats" }
	self.BootOf = func(id string) string { boot, _, _ := strings.Cut(id, "/"); return boot }
	src.encode = func(rec []byte, _ int) ([]*nats.Msg, error) {
		m := publishtest.Message(string(rec), rec)
		_, serial, _ := strings.Cut(string(rec), "/")
		var n int
		if _, err := fmt.Sscan(serial, &n); err != nil {
			return nil, err
		}
		m.Subject = "supervisor.event.web1.-.-.tick.5"
		// Its processes start, and then only the clock ticks.
		if n < len(processes) {
			m.Subject = "supervisor.event.web1." + processes[n] + ".process_state.running"
		}
		return []*nats.Msg{m}, nil
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	watch := p.rivalsConfig()
	watch.First = 150 * time.Millisecond
	watch.Silence = time.Second
	p.rivals = rivals.New(watch)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Run(ctx)
	}()
	go func() {
		for i := range recs {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				src.allow(i + 1)
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return l, stop
}

// Two boots under one host are fine while their processes differ.
func TestNeighbours(t *testing.T) {
	s, _ := forgetful(t)
	a, _ := booted(t, s.URL, "aaaa", "supernats.supernats", "web.web", "api.api_00")
	b, _ := booted(t, s.URL, "bbbb", "supernats.supernats", "job.job", "api.api_01")
	time.Sleep(2 * time.Second)
	if got := append(a.all(), b.all()...); len(got) > 0 {
		t.Errorf("troubles: %q", got)
	}
}

// Processes of the same names are named by both, until one of the two has ended.
func TestRival(t *testing.T) {
	s, _ := forgetful(t)
	a, _ := booted(t, s.URL, "aaaa", "web.web", "api.api_00", "a=20b.c")
	time.Sleep(300 * time.Millisecond)
	b, stop := booted(t, s.URL, "bbbb", "api.api_00", "job.job", "a=20b.c")
	for _, l := range []*troubleLog{a, b} {
		publishtest.WaitFor(t, func() bool { return len(l.all()) > 0 })
		l.mu.Lock()
		text := l.text[CauseConflict]
		l.mu.Unlock()
		if !strings.Contains(text, "same names: a b:c, api:api_00;") || !strings.Contains(text, "aaaa") || !strings.Contains(text, "bbbb") || !strings.Contains(text, "--host") {
			t.Errorf("text: %s", text)
		}
	}
	stop()
	publishtest.WaitFor(t, func() bool { return cmp.Equal([]string{"+process-conflict", "-process-conflict"}, a.all()) })
}

// What an earlier supervisord of the host left in the stream is not a rival. Neither is a
// listener that publishes what was left.
func TestNoRival(t *testing.T) {
	s, js := forgetful(t)
	left := func(n int) {
		m := publishtest.Message(fmt.Sprintf("aaaa/%d", n), nil)
		m.Subject = fmt.Sprintf("supervisor.event.web1.web.web_%d.process_state.running", n%10)
		if _, err := js.PublishMsg(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 100 {
		left(n)
	}
	b, _ := booted(t, s.URL, "bbbb", "web.web_1", "web.web_2")
	time.Sleep(50 * time.Millisecond)
	left(100)
	time.Sleep(time.Second)
	if got := b.all(); len(got) > 0 {
		t.Errorf("troubles: %q", got)
	}
}

// A group that the other supervisord has removed is no longer shared.
func TestRivalGroupRemoved(t *testing.T) {
	s, js := forgetful(t)
	a, _ := booted(t, s.URL, "aaaa", "web.web")
	time.Sleep(200 * time.Millisecond)
	_, _ = booted(t, s.URL, "bbbb", "web.web")
	publishtest.WaitFor(t, func() bool { return len(a.all()) > 0 })
	m := publishtest.Message("bbbb/removed", nil)
	m.Subject = "supervisor.event.web1.web.-.process_group.removed"
	if _, err := js.PublishMsg(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	publishtest.WaitFor(t, func() bool { return cmp.Equal([]string{"+process-conflict", "-process-conflict"}, a.all()) })
}
