package bridge_test

import (
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

const kinds = `
[program:steady]
command=cat
[program:never]
command=cat
autostart=false
[program:coded]
command=sh -c "sleep 1.2; exit 3"
autorestart=false
[program:killed]
command=sh -c "sleep 1.2; kill -KILL $$"
autorestart=false
[program:starting]
command=cat
startsecs=3600
[program:flapper]
command=sh -c "exit 7"
startretries=0
[program:my.app-weird*>é"\x]
command=cat
[program:many]
command=cat
process_name=%(program_name)s_%(process_num)02d
numprocs=2
[group:apps]
programs=many
`

// The four metrics of a process are what supervisord reports, and stay when it
// says nothing more.
func TestProcessMetrics(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	address := freeAddress(t)
	begun := float64(time.Now().Unix())
	s := supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--listen", address, "--snapshot-every", "0")+kinds)
	type process struct{ up, state, exit float64 }
	want := map[string]process{
		`name="supernats",group="supernats"`:                       {1, 20, 0},
		`name="steady",group="steady"`:                             {1, 20, 0},
		`name="starting",group="starting"`:                         {1, 10, 0},
		`name="never",group="never"`:                               {0, 0, 0},
		`name="coded",group="coded"`:                               {0, 100, 3},
		`name="killed",group="killed"`:                             {0, 100, -1},
		`name="flapper",group="flapper"`:                           {0, 200, 0}, // supervisord forgets it: process.py finish
		`name="my.app-weird*>é\"\\x",group="my.app-weird*>é\"\\x"`: {1, 20, 0},
		`name="many_00",group="apps"`:                              {1, 20, 0},
		`name="many_01",group="apps"`:                              {1, 20, 0},
	}
	expected := map[string]float64{}
	for labels, p := range want {
		expected["supervisord_up{"+swap(labels)+"}"] = p.up
		expected["supervisord_state{"+swap(labels)+"}"] = p.state
		expected["supervisord_exit_status{"+swap(labels)+"}"] = p.exit
		if p.up == 1 {
			expected["supervisord_start_time_seconds{"+swap(labels)+"}"] = 1
			expected["supervisord_start_time_seconds_total{"+swap(labels)+"}"] = 1
		}
	}
	expected["supervisord_scrape_success"] = 1
	look := func() map[string]float64 {
		got := scrape(t, address, "supervisord_")
		now := float64(time.Now().Unix())
		for name, v := range got {
			if strings.Contains(name, "start_time") && begun <= v && v <= now {
				got[name] = 1 // of about now
			}
		}
		return got
	}
	var got map[string]float64
	var answered float64
	const last = "supervisord_last_scrape_success_timestamp_seconds"
	same := func() bool {
		got = look()
		answered = got[last]
		delete(got, last)
		return cmp.Equal(expected, got)
	}
	deadline := time.Now().Add(20 * time.Second)
	for !same() {
		if time.Now().After(deadline) {
			t.Fatalf("-want +got:\n%s", cmp.Diff(expected, got))
		}
		time.Sleep(200 * time.Millisecond)
	}
	if now := float64(time.Now().Unix()); answered < begun || answered > now+1 {
		t.Errorf("the last answer was at %v, it is %v", answered, now)
	}

	socket := s.Dir + "/supervisor.sock"
	aside := func(to string) {
		t.Helper()
		if err := os.Rename(socket, to); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1100 * time.Millisecond) // an answer is used for a second
	}
	expected["supervisord_scrape_success"] = 0
	check := func(what string) {
		t.Helper()
		before := answered
		for range 2 {
			if !same() {
				t.Errorf("%s (-want +got):\n%s", what, cmp.Diff(expected, got))
			}
			if answered != before {
				t.Errorf("%s: the last answer was at %v, then at %v", what, before, answered)
			}
		}
	}
	_ = same() // the last answer before
	before := answered
	aside(socket + ".aside")
	check("its socket is gone")
	silent, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond)
	start := time.Now()
	check("it is silent")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("two scrapes of a silent supervisord took %v", took)
	}
	silent.Close()
	if err := os.Rename(socket+".aside", socket); err != nil {
		t.Fatal(err)
	}
	waitValue(t, address, "supervisord_scrape_success", 1)
	if _ = same(); answered <= before {
		t.Errorf("the last answer was at %v, then at %v", before, answered)
	}
}

// swap puts the labels into the order in which they are written.
func swap(labels string) string {
	name, group, _ := strings.Cut(labels, ",group=")
	return "group=" + group + "," + name
}

// Twenty who look at once cost supervisord one call.
func TestScrapesShareOneCall(t *testing.T) {
	nats := streamtest.Start(t)
	dir := supervisordtest.Dir(t)
	calls := &atomic.Int32{}
	l, err := net.Listen("unix", dir+"/proxy.sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // counts the calls: each has a connection of its own
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			go func() {
				defer c.Close()
				server, err := net.Dial("unix", dir+"/supervisor.sock")
				if err != nil {
					return
				}
				defer server.Close()
				go func() { _, _ = io.Copy(server, c) }()
				_, _ = io.Copy(c, server)
			}()
		}
	}()
	address := freeAddress(t)
	section := conf(t, "--nats-url", nats.URL, "--listen", address, "--snapshot-every", "0", "--server-url",
		"unix://"+dir+"/proxy.sock")
	if err := supervisordtest.WriteConf(dir, "supervisor", section); err != nil {
		t.Fatal(err)
	}
	supervisordtest.StartIn(t, dir)
	waitValue(t, address, "supervisord_scrape_success", 1)
	time.Sleep(2 * time.Second) // an answer is used for a second
	before := calls.Load()
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			if got := scrape(t, address, "supervisord_"); got["supervisord_scrape_success"] != 1 ||
				got[`supervisord_up{group="supernats",name="supernats"}`] != 1 {
				t.Errorf("scraped %v", got)
			}
		})
	}
	clients.Wait()
	if n := calls.Load() - before; n != 1 {
		t.Errorf("%d calls for 20 scrapes", n)
	}
}

var eventLabel = regexp.MustCompile(`^supernats_bridge_events_total\{event="(.*)"\}$`)

// What the metrics count is what the stream holds.
func TestEventMetrics(t *testing.T) {
	t.Parallel()
	const bursts = 3
	address := freeAddress(t)
	s, js := startWeb1(t, `
[program:steady]
command=cat
startsecs=0
`, "--listen", address)
	data := make([]string, 100)
	for range bursts {
		if err := s.SendRemote("n", data...); err != nil {
			t.Fatal(err)
		}
		s.MustCtl(t, "restart", "steady")
	}
	var counted, held map[string]float64
	var all, answers, published float64
	same := func() bool {
		counted, held, all = map[string]float64{}, map[string]float64{}, 0
		values := scrape(t, address, "supernats_bridge_")
		for name, v := range values {
			if m := eventLabel.FindStringSubmatch(name); m != nil && v > 0 {
				counted[m[1]] = v
				all += v
			}
		}
		answers = values["supernats_bridge_answer_duration_seconds_count"]
		published = values["supernats_bridge_publish_duration_seconds_count"]
		for _, m := range stored(t, js, stream.AllEvents) {
			held[event(t, m).Event]++
		}
		return held[schema.RemoteCommunication] == bursts*100 && maps.Equal(counted, held) && answers == all &&
			published == all
	}
	deadline := time.Now().Add(30 * time.Second)
	for !same() {
		if time.Now().After(deadline) {
			t.Fatalf("events (-counted +stored):\n%s%v are counted, %v answered, %v published", cmp.Diff(counted, held),
				all, answers, published)
		}
	}
	if held[schema.ProcessStateStopped] != bursts || counted[schema.ProcessStateStopped] != bursts {
		t.Errorf("stored %v", held)
	}
}

// While NATS is away the bridge is ready, until its spool is full; both can be seen.
func TestReadiness(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	nats.Stop()
	dir := filepath.Join(t.TempDir(), "not", "yet")
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil { // a file is in the way
		t.Fatal(err)
	}
	address := freeAddress(t)
	s := supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--listen", address, "--spool-dir", dir,
		"--spool-max", "1MiB", "--spool-sync", "never"))
	check := func(status int, texts ...string) {
		t.Helper()
		got, body := 0, ""
		supervisordtest.Wait(t, 10*time.Second, func() bool {
			got, body = get(t, "http://"+address+"/readyz")
			ok := got == status
			for _, text := range texts {
				ok = ok && strings.Contains(body, text)
			}
			return ok
		}, "/readyz to answer %d with %q", status, texts)
		ready := 0.0
		if status == http.StatusOK {
			ready = 1
		}
		if got := scrape(t, address, "supernats_bridge_ready"); got["supernats_bridge_ready"] != ready {
			t.Errorf("metric %v while /readyz answers %d", got, status)
		}
		if status, body := get(t, "http://"+address+"/healthz"); status != http.StatusOK || body != "ok\n" {
			t.Errorf("/healthz answers %d %s", status, body)
		}
	}
	check(200, "ready\n", "in memory, the disk takes none: ", "nats: no connection")
	if err := os.Remove(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	check(200, "ready\n", "nats: no connection, events wait in the spool")
	if err := s.SendRemote("small", "x"); err != nil {
		t.Fatal(err)
	}
	supervisordtest.Wait(t, 10*time.Second, func() bool {
		spool := scrape(t, address, "supernats_bridge_spool_")
		return spool["supernats_bridge_spool_bytes"] > 0 && spool["supernats_bridge_spool_memory_records"] == 0
	}, "the events to move to the disk")
	data := strings.Repeat("x", 10_000)
	for range 120 {
		if err := s.SendRemote("large", data); err != nil {
			t.Fatal(err)
		}
	}
	check(503, "not ready: spool is full", "nearly full, TICK and PROCESS_LOG are dropped")
	full := scrape(t, address, "supernats_bridge_")
	if full["supernats_bridge_spool_bytes"] < 900_000 || full["supernats_bridge_spool_limit_bytes"] != 1<<20 ||
		full["supernats_bridge_spool_records"] < 90 ||
		full["supernats_bridge_spool_oldest_record_age_seconds"] <= 0 ||
		full["supernats_bridge_spool_oldest_record_age_seconds"] > 60 || full["supernats_bridge_nats_connected"] != 0 {
		t.Errorf("full %v", full)
	}
	nats.Restart()
	check(200, "ready\n", "spool: 0 records", "nats: connected")
	for name, want := range map[string]float64{
		"nats_connected": 1, "nats_reconnects_total": 0, "spool_records": 0, "spool_oldest_record_age_seconds": 0,
	} {
		waitValue(t, address, "supernats_bridge_"+name, want)
	}
	nats.Stop()
	waitValue(t, address, "supernats_bridge_nats_connected", 0)
	nats.Restart()
	waitValue(t, address, "supernats_bridge_nats_connected", 1)
	waitValue(t, address, "supernats_bridge_nats_reconnects_total", 1)
}

// An address that is taken is reported once and tried again; the events do not wait.
func TestAddressInUse(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	s := supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--listen", address))
	waitStored(t, nats.JetStream(), stream.AllEvents, 1)
	pid := s.ProcessID(t, "supernats")
	time.Sleep(5 * time.Second) // tries it every two seconds
	l.Close()
	waitValue(t, address, "supernats_bridge_ready", 1)
	if now := s.ProcessID(t, "supernats"); now != pid {
		t.Errorf("the bridge had pid %d and has %d", pid, now)
	}
	logs, err := filepath.Glob(s.Dir + "/supernats-stderr*")
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	text, err := os.ReadFile(logs[0])
	if n := strings.Count(string(text), "no metrics are served"); err != nil || n != 1 {
		t.Errorf("it is reported %d times, %v\n%s", n, err, text)
	}
}

// What can be seen to be wrong ends the program with exit code 2.
func TestListenUsage(t *testing.T) {
	for _, flags := range [][]string{
		{"--listen", "nowhere"},
		{"--web-config", "web.yaml"},
		{"--listen", ":0", "--web-config", "testdata/web-unknown.yaml"},
	} {
		c := exec.Command(program, append([]string{"--spool-dir", t.TempDir()}, flags...)...)
		out, _ := c.CombinedOutput()
		if code := c.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), flags[len(flags)-2]) {
			t.Errorf("%q: exit code %d\n%s", flags, code, out)
		}
	}
}
