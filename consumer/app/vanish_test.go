package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/fleettest"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// hook is a webhook that counts how often each process was in a firing alert.
type hook struct {
	*httptest.Server
	mu    sync.Mutex
	fired map[string]int
	over  map[string]int
}

func newHook(t *testing.T) *hook {
	h := &hook{fired: map[string]int{}, over: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.Unmarshal(body, &m); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, a := range m.Alerts {
			if a.Status == "resolved" {
				h.over[a.Labels["process"]]++
			} else {
				h.fired[a.Labels["process"]]++
			}
		}
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) notified(process string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fired[process]
}

func (h *hook) resolved(process string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over[process]
}

// installation is a daemon with a webhook on a server of its own.
type installation struct {
	*fleettest.Fleet
	settings natsconn.Settings
	hook     *hook
	// log is that of all daemons, one after the other.
	log *fleettest.Buffer
	*daemon
}

func install(t *testing.T) *installation {
	t.Helper()
	in := &installation{Fleet: fleettest.New(t), hook: newHook(t), log: &fleettest.Buffer{}}
	in.boot()
	return in
}

// installOn makes one on a server that wants credentials.
func installOn(t *testing.T, s *streamtest.Server, as natsconn.Settings) *installation {
	t.Helper()
	in := &installation{Fleet: fleettest.On(t, s, nil), settings: as, hook: newHook(t), log: &fleettest.Buffer{}}
	password, err := os.ReadFile(as.PasswordFile)
	if err != nil {
		t.Fatal(err)
	}
	in.JS = connectAs(t, s.URL, as.User, strings.TrimSpace(string(password)))
	in.boot()
	return in
}

// boot starts the daemon.
func (in *installation) boot() {
	in.Helper()
	cfg := loadText(in.T, fmt.Sprintf("nats: {url: %q}\nlisten: ''\nresolve_after: 100ms\n"+
		"rules: [{name: exit, event: PROCESS_STATE_EXITED, expected: false}]\n"+
		"receivers: [{name: hook, webhook: {url: %q}}]\n", in.Server.URL, in.hook.URL))
	cfg.NATS.Settings = cfg.NATS.With(in.settings)
	in.daemon = readyDaemon(in.T, cfg, func(o *Options) { o.Log = o.Log.Output(in.log) })
}

// The events of a start, a crash and a stop that somebody asks for.
var (
	started = []string{schema.ProcessStateStarting, schema.ProcessStateRunning}
	crash   = append(slices.Clone(started), schema.ProcessStateExited)
	stopped = []string{schema.ProcessStateStopping, schema.ProcessStateStopped}
)

// crashes publishes a crash of a process as a bridge does: again and again until the
// stream has it.
func (in *installation) crashes(process string) {
	in.Helper()
	in.happens(process, crash...)
}

func (in *installation) happens(process string, names ...string) {
	in.Helper()
	no := false
	for _, name := range names {
		e := in.Event(name, func(e *schema.Event) {
			if e.Process = process; name == schema.ProcessStateExited {
				e.Expected = &no
			}
		})
		data := []byte(in.JSON(e.Envelope(time.Now())))
		in.Until("the stream takes an event", func() bool {
			ctx, cancel := context.WithTimeout(in.Context(), time.Second)
			defer cancel()
			_, err := in.JS.Publish(ctx, e.Subject(), data, jetstream.WithMsgID(in.id(e)))
			return err == nil
		})
	}
}

func (in *installation) id(e *schema.Event) string { return e.Envelope(time.Now()).ID }

// isNotified waits until a crash of a process is notified.
func (in *installation) isNotified(process string) {
	in.Helper()
	for end := time.Now().Add(30 * time.Second); in.hook.notified(process) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			in.Fatalf("the crash of %s is not notified; readyz: %v; log:\n%s", process, in.health.Failures(), in.log)
		}
	}
}

func (in *installation) isNotifiedTwice(process string) {
	in.Helper()
	in.Until("the second crash of "+process+" is notified", func() bool { return in.hook.notified(process) == 2 })
}

// isResolved waits until an alert of a process is reported as over.
func (in *installation) isResolved(process string) {
	in.Helper()
	in.Until("the alert of "+process+" is over", func() bool { return in.hook.resolved(process) == 1 })
}

// isHealthy waits until nothing is wrong any more.
func (in *installation) isHealthy() {
	in.Helper()
	in.Until("nothing is wrong any more", func() bool { return len(in.health.Failures()) == 0 })
}

// wereNotified checks how often people were notified of crashes, by process.
func (in *installation) wereNotified(crashes map[string]int) {
	in.Helper()
	for process, want := range crashes {
		if n := in.hook.notified(process); n != want {
			in.Errorf("%s was notified %d times, want %d", process, n, want)
		}
	}
}

// shows waits until the record of a process says its state.
func (in *installation) shows(process, state string) {
	in.Helper()
	in.Until(process+" is shown as "+state, func() bool {
		kv, err := in.JS.KeyValue(in.Context(), stream.StateBucket)
		if err != nil {
			return false
		}
		e, err := kv.Get(in.Context(), "web1.api."+process)
		if err != nil {
			return false
		}
		var s schema.ProcessRecord
		in.Unmarshal(e.Value(), &s)
		return s.State == state
	})
}

// isWhole waits until everything is there.
func (in *installation) isWhole() {
	in.Helper()
	in.Until("everything is there", func() bool {
		return !slices.ContainsFunc(stream.Names(), func(name string) bool {
			_, err := in.JS.Stream(in.Context(), name)
			return err != nil
		})
	})
}

// isSettled waits until all events are handled, which they are when what they lead to is
// stored, and the receiver has taken everything.
func (in *installation) isSettled() {
	in.Helper()
	s, err := in.JS.Stream(in.Context(), stream.Events)
	if err != nil {
		in.Fatal(err)
	}
	in.WaitHandled(s.CachedInfo().State.LastSeq)
	in.Until("the queue is empty", func() bool {
		c, err := in.JS.Consumer(in.Context(), stream.Alerts, stream.ReceiverConsumer("hook"))
		return err == nil && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	})
}

// removals are everything on NATS that somebody may delete, empty, or lose.
func removals() map[string]func(in *installation) error {
	all := map[string]func(in *installation) error{}
	for _, name := range stream.Names() {
		all["delete "+name] = func(in *installation) error { return in.JS.DeleteStream(in.Context(), name) }
		all["make again "+name] = func(in *installation) error {
			s, err := in.JS.Stream(in.Context(), name)
			if err != nil {
				return err
			}
			if err := in.JS.DeleteStream(in.Context(), name); err != nil {
				return err
			}
			_, err = in.JS.CreateStream(in.Context(), s.CachedInfo().Config)
			return err
		}
		all["purge "+name] = func(in *installation) error {
			s, err := in.JS.Stream(in.Context(), name)
			if err != nil {
				return err
			}
			return s.Purge(in.Context())
		}
	}
	all["delete the consumer of events"] = func(in *installation) error {
		return in.JS.DeleteConsumer(in.Context(), stream.Events, stream.EventsConsumer)
	}
	all["delete the queue"] = func(in *installation) error {
		return in.JS.DeleteConsumer(in.Context(), stream.Alerts, stream.ReceiverConsumer("hook"))
	}
	all["lose the store"] = func(in *installation) error {
		in.Server.Stop()
		in.Server.Forget()
		in.Server.Restart()
		return nil
	}
	all["delete everything"] = func(in *installation) error {
		for _, name := range stream.Names() {
			if err := in.JS.DeleteStream(in.Context(), name); err != nil {
				return err
			}
		}
		return nil
	}
	return all
}

// Whatever vanishes from NATS while the daemon runs: people are notified of each later crash
// once, states are right, what was open ends, and nothing has to be restarted.
func TestWhatVanishesComesBack(t *testing.T) {
	for name, remove := range removals() {
		t.Run(name, func(t *testing.T) {
			inShort := []string{"lose the store", "delete SUPERVISOR", "delete the queue"}
			if testing.Short() && !slices.Contains(inShort, name) && !strings.HasPrefix(name, "purge KV") {
				t.Skip("all of them take half a minute")
			}
			t.Parallel()
			in := install(t)
			in.crashes("known")
			in.crashes("open")
			in.isNotified("known")
			in.isNotified("open")
			in.happens("idle", started...)
			in.happens("known", started...)
			in.isResolved("known")
			in.shows("known", "RUNNING")
			in.shows("open", "EXITED")
			in.isSettled()

			if err := remove(in); err != nil {
				t.Fatal(err)
			}
			in.crashes("new")
			in.crashes("known")
			in.isNotified("new")
			in.isNotifiedTwice("known")
			in.shows("new", "EXITED")
			in.shows("known", "EXITED")
			in.shows("idle", "RUNNING")
			in.happens("open", started...)
			in.isResolved("open")
			in.shows("open", "RUNNING")

			in.isWhole()
			in.isHealthy()
			in.wereNotified(map[string]int{"known": 2, "open": 1, "new": 1})
			mayLoseLease := strings.Contains(name, "leases") || strings.Contains(name, "store")
			if strings.Contains(in.log.String(), "lease lost") && !mayLoseLease {
				t.Errorf("the lease was lost:\n%s", in.log)
			}

			// A restart finds what it needs.
			in.Stop()
			in.boot()
			in.crashes("restarted")
			in.isNotified("restarted")
			in.happens("new", started...)
			in.isResolved("new")
			in.shows("idle", "RUNNING")
			if n := in.hook.notified("known") + in.hook.notified("new"); n != 3 {
				t.Errorf("after a restart crashes are notified again: %v", in.hook.fired)
			}
		})
	}
}

// What is restored from a backup, each of the streams and buckets and all of them, while
// the daemon runs and while it does not: what was notified in between is not notified again,
// later crashes are notified once, and states are right.
func TestRestoreFromABackup(t *testing.T) {
	parts := map[string][]string{"everything": nil}
	for _, name := range stream.Names() {
		parts[name] = []string{name}
	}
	for name, streams := range parts {
		for _, running := range []bool{true, false} {
			if !running && strings.HasPrefix(name, "KV_") && name != "KV_"+stream.LeasesBucket {
				continue // the next process tables make it right
			}
			t.Run(fmt.Sprintf("%s, running %t", name, running), func(t *testing.T) {
				if testing.Short() && name != "everything" {
					t.Skip("all of them take half a minute")
				}
				t.Parallel()
				in := install(t)
				in.crashes("known")
				in.crashes("before")
				in.isNotified("known")
				in.isNotified("before")
				in.happens("known", started...)
				in.isResolved("known")
				in.shows("known", "RUNNING")
				in.isSettled()
				in.Server.Stop()
				backup := in.Server.Backup()
				in.Server.Restart()

				for range 10 {
					in.happens("known", slices.Concat(stopped, started)...)
				}
				in.crashes("between")
				in.isNotified("between")
				in.shows("between", "EXITED")
				in.isSettled()
				if !running {
					in.Stop()
				}
				in.Server.Stop()
				in.Server.Restore(backup, streams...)
				in.Server.Restart()
				if !running {
					in.boot()
				}

				in.crashes("known")
				in.crashes("new")
				in.isNotified("new")
				in.isNotifiedTwice("known")
				in.shows("known", "EXITED")
				in.shows("new", "EXITED")
				in.happens("before", started...)
				in.isResolved("before")
				if running {
					in.shows("between", "EXITED")
					in.happens("between", started...)
					in.isResolved("between")
				}
				in.isHealthy()
				in.wereNotified(map[string]int{"known": 2, "before": 1, "between": 1, "new": 1})
				if t.Failed() {
					t.Log(in.log)
				}
			})
		}
	}
}

// The records of a version that knew nothing of lives of a stream: while no daemon runs
// the stream is made again, restored from a backup, or stays what it was.
func TestStreamChangesUnderOldRecords(t *testing.T) {
	for name, change := range map[string]func(in *installation, backup func()) error{
		"nothing":    func(*installation, func()) error { return nil },
		"made again": func(in *installation, _ func()) error { return removals()["make again "+stream.Events](in) },
		"backup":     func(_ *installation, backup func()) error { backup(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			in.crashes("known")
			in.isNotified("known")
			in.isSettled()
			in.Server.Stop()
			backup := in.Server.Backup()
			in.Server.Restart()
			for range 5 {
				in.happens("known", slices.Concat(started, stopped)...)
			}
			in.crashes("open")
			in.isNotified("open")
			in.isSettled()
			in.Stop()
			if err := in.Bucket(stream.LeasesBucket).Purge(t.Context(), source.LineageKey); err != nil {
				t.Fatal(err)
			}
			before := in.Process("web1", "api", "known")

			err := change(in, func() {
				in.Server.Stop()
				in.Server.Restore(backup, stream.Events)
				in.Server.Restart()
			})
			if err != nil {
				t.Fatal(err)
			}
			in.boot()
			in.crashes("known")
			in.isNotifiedTwice("known")
			in.shows("known", "EXITED")
			s := in.Process("web1", "api", "known")
			if s.UnexpectedExits != 2 || s.Starts != before.Starts+1 || s.Seq <= before.Seq {
				t.Errorf("%+v, before %+v", s, before)
			}
			in.happens("open", started...)
			in.isResolved("open")
			if n := in.hook.notified("open"); n != 1 {
				t.Errorf("what was notified before is notified %d times", n)
			}
		})
	}
}
