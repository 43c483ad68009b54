package publish

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// booted is a bridge of a boot that has a record every few milliseconds.
func booted(t *testing.T, url, boot string) *log {
	t.Helper()
	l := newLog()
	recs := make([]string, 10_000)
	for i := range recs {
		recs[i] = fmt.Sprintf("%s/%d", boot, i)
	}
	src := newSource(recs...).allow(0)
	cfg := config(url, src)
	cfg.Log = zerolog.New(l)
	var again atomic.Int64
	fenced(&again)(&cfg)
	cfg.Fence.Ours = boot
	cfg.Fence.Boot = func(id string) string { boot, _, _ := strings.Cut(id, "/"); return boot }
	cfg.Encode = func(rec []byte, _ int) ([]*nats.Msg, error) {
		m := message(string(rec), rec)
		_, serial, _ := strings.Cut(string(rec), "/")
		m.Subject = "supervisor.event.web1.-.-.tick." + serial[len(serial)-1:]
		return []*nats.Msg{m}, nil
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.rivals.first = 100 * time.Millisecond
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
	t.Cleanup(func() {
		cancel()
		<-done
		if t.Failed() {
			t.Logf("log of %s:\n%s", boot, l)
		}
	})
	return l
}

const claimed = "two supervisords publish under this host's name"

// Two boots under one host are told of, by both names.
func TestRival(t *testing.T) {
	s, _ := forgetful(t)
	a := booted(t, s.URL, "aaaa")
	time.Sleep(500 * time.Millisecond)
	if strings.Contains(a.String(), claimed) {
		t.Error("a rival, and there is none")
	}
	b := booted(t, s.URL, "bbbb")
	b.wait(t, `"boot":"bbbb","other_boot":"aaaa","mend":"give each supervisord its own --host"`)
	b.wait(t, claimed)
}

// What an earlier supervisord of the host left in the stream is no rival, nor is
// a listener of it that publishes what it has left.
func TestNoRival(t *testing.T) {
	s, js := forgetful(t)
	left := func(n int) {
		m := message(fmt.Sprintf("aaaa/%d", n), nil)
		if _, err := js.PublishMsg(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 100 {
		left(n)
	}
	b := booted(t, s.URL, "bbbb")
	time.Sleep(50 * time.Millisecond)
	left(100)
	time.Sleep(time.Second)
	if strings.Contains(b.String(), claimed) {
		t.Errorf("a rival, and there is none:\n%s", b)
	}
}
