package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/records"
	"supernats/consumer/web"
	"supernats/schema"
	"supernats/schema/stream"
)

// A file that is wrong changes nothing and says where; one that is right is in
// force at once. Both by HTTP too.
func TestReload(t *testing.T) {
	f := newFleet(t)
	path := filepath.Join(t.TempDir(), "f.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("nats: {url: \""+f.server.URL+"\"}\nlisten: ''\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (*config.Plan, error) {
		cfg, err := config.Load(path)
		if err != nil {
			return nil, err
		}
		return cfg.Plan()
	}
	write("rules:\n- {name: first, event: PROCESS_STATE_EXITED, expected: false}\n")
	valid, err := load()
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(valid, Options{Load: load, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(ctx context.Context) error {
		if err := a.Run(ctx); err != nil {
			return err
		}
		return ctx.Err()
	})
	<-a.ready
	crashed := func(process, rule string) {
		t.Helper()
		f.handled(f.publish(f.crash(func(e *schema.Event) { e.Process = process })))
		subject := schema.AlertSubject("web1", "api", process, rule)
		f.until("there is an alert on "+subject, func() bool {
			s, err := f.js.Stream(t.Context(), stream.Alerts)
			if err != nil {
				return false
			}
			_, err = s.GetLastMsgForSubject(t.Context(), subject)
			return err == nil
		})
	}
	crashed("a", "first")

	write("rules:\n- {name: second, event: PROCESS_STATE_EXITED, if: 'exit.code ='}\n")
	if err := a.Reload(); err == nil || !strings.HasPrefix(err.Error(), path+":4:") || !strings.Contains(err.Error(), "rules[0].if") {
		t.Errorf("a wrong file: %v", err)
	}
	crashed("b", "first")

	write("rules:\n- {name: second, event: PROCESS_STATE_EXITED, expected: false}\n")
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	// What the old rules had open is told to be over, since nobody will close it.
	f.until("the new rules are in force", func() bool {
		_, err := f.bucket(stream.AlertsBucket).Get(t.Context(), schema.AlertKey("first", "web1", "api", "a"))
		return err != nil
	})
	crashed("c", "second")
	r.stop()
	without, err := New(valid, Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if err := without.Reload(); !errors.Is(err, web.ErrNoFile) {
		t.Errorf("without a file: %v", err)
	}
}

// Records made anew from the stream are those that were kept while it was read,
// whatever somebody did to them meanwhile.
func TestRebuild(t *testing.T) {
	f := newFleet(t)
	stop := f.run()
	for _, p := range []string{"a", "b", "c"} {
		of := func(e *schema.Event) { e.Process = p }
		f.publish(f.event(schema.ProcessStateStarting, of), f.event(schema.ProcessStateRunning, of), f.crash(of))
	}
	f.handled(f.publish(f.event(schema.ProcessStateStarting), f.event(schema.Tick5)))
	stop()
	records := func() (map[string]*schema.ProcessRecord, map[string]*schema.HostRecord) {
		t.Helper()
		_, states, err := records.Open[schema.ProcessRecord](t.Context(), f.js, stream.StateBucket, nil, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		_, hosts, err := records.Open[schema.HostRecord](t.Context(), f.js, stream.HostsBucket, nil, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		return states, hosts
	}
	states, hosts := records()
	if len(states) != 4 || len(hosts) != 1 || states["web1.api.a"].UnexpectedExits != 1 {
		t.Fatalf("%d states, %d hosts: %+v", len(states), len(hosts), states["web1.api.a"])
	}
	kv := f.bucket(stream.StateBucket)
	if err := kv.Delete(t.Context(), "web1.api.a"); err != nil {
		t.Fatal(err)
	}
	for key, text := range map[string]string{"web1.api.b": `{"exits":7}`, "web1.api.c": "garbage", "web9.never.was": `{"host":"web9"}`} {
		if _, err := kv.Put(t.Context(), key, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	cfg := config.Default()
	a, err := New(validPlan(t, cfg), Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.rebuild(ctx, f.js); err != nil {
		t.Fatal(err)
	}
	again, hostsAgain := records()
	if d := cmp.Diff(states, again); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(hosts, hostsAgain); d != "" {
		t.Error(d)
	}
}
