package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/program"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// has returns the findings of some checks.
func has(findings []string, checks ...string) (list []string) {
	for _, f := range findings {
		for _, c := range checks {
			if strings.Contains(f, " "+c+": ") {
				list = append(list, f)
			}
		}
	}
	return list
}

// A server that answers everything and stores nothing is not ok.
func TestDoctorTriesAWrite(t *testing.T) {
	t.Parallel()
	s := streamtest.Start(t)
	i := &installation{T: t, url: s.URL, js: s.JetStream()}
	if err := stream.EnsureAll(t.Context(), i.js, stream.Limits{Replicas: 1, EventBytes: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	i.wants("a server that stores", has(i.doctor(program.ExitFailed), "writes"))
	streamtest.FailWrite(t, i.js, s.Store(), stream.Events, "supervisor.event.x")
	var got []string
	// A message that is younger than that is a write that has worked.
	for end := time.Now().Add(20 * time.Second); len(got) == 0 && time.Now().Before(end); {
		got = has(i.doctor(program.ExitFailed), "writes")
	}
	if len(got) != 1 || !strings.HasPrefix(got[0], "fail writes: stream SUPERVISOR: ") || !strings.Contains(got[0], "restart nats-server") {
		t.Errorf("%q", got)
	}
}

// What keeps the daemon from its work is what the doctor says.
func TestDoctorAsksTheDaemon(t *testing.T) {
	i := well(t)
	var notReady atomic.Pointer[string]
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			text := notReady.Load()
			if text == nil {
				fmt.Fprintln(w, "ready")
				return
			}
			if strings.HasPrefix(*text, "ready") {
				fmt.Fprint(w, *text)
				return
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, *text)
		}
	}))
	defer daemon.Close()
	file := natsconntest.File(t, "c.yaml", "listen: "+daemon.Listener.Addr().String()+"\n")

	i.wants("ready", has(i.doctor(program.ExitDone, "-c", file), "ready"))
	text := "not ready: nothing can be stored in /x; no space left on device (store, since 2026-11-21T19:00:00Z); free some space there; look again\n" +
		"not ready: streams and buckets cannot be reached yet, the log says why\n"
	notReady.Store(&text)
	i.wants("not ready", has(i.doctor(program.ExitFailed, "-c", file), "ready"),
		"fail ready: `supernats consume` at N is not ready: nothing can be stored in /x; no space left on device (store, N some space there; look again]",
		"fail ready: `supernats consume` at N is not ready: streams and buckets cannot be reached yet, the log says why")
	text = "ready\nwarning: bucket x holds more than it should (surplus x, since 2026-11-21T19:00:00Z); add a right\n"
	notReady.Store(&text)
	i.wants("ready, with a warning", has(i.doctor(program.ExitDone, "-c", file), "ready"),
		"warn ready: `supernats consume` at N: bucket x holds more than it should (surplus x, N a right]")
}

// What an account does not allow is said, in place of a command that cannot help.
func TestDoctorSaysWhatTheAccountAllows(t *testing.T) {
	for limits, want := range map[string]string{
		"max_file: 4MB, max_mem: 1MB":                 "this account may store 4MiB, of which 0 is taken; the streams that are missing need 8MiB",
		"max_file: 1GB, max_mem: 1MB, max_streams: 5": "this account may have 5 streams and has 0; 8 more are needed, each bucket is one: SUPERVISOR, ",
	} {
		conf := natsconntest.File(t, "nats-server.conf", fmt.Sprintf(`
			listen: "127.0.0.1:-1", jetstream: { store_dir: %q, max_file: 8GB }
			accounts: { A: { users: [ {user: a, password: a} ], jetstream: { %s } } }`, t.TempDir(), limits))
		o, err := server.ProcessConfigFile(conf)
		if err != nil {
			t.Fatal(err)
		}
		s := streamtest.Start(t, func(opts *server.Options) { *opts = *o; opts.NoSigs, opts.NoLog = true, true })
		i := &installation{T: t, url: strings.Replace(s.URL, "://", "://a:a@", 1)}
		got := has(i.doctor(program.ExitFailed), "streams")
		if len(got) == 0 || !strings.Contains(got[0], "stream SUPERVISOR is missing ["+want) && !strings.Contains(got[0], want) {
			t.Errorf("%s: %q", limits, got)
		}
	}
}
