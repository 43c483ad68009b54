package deathreason

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"supernats/bridge/deathreason/reasontest"
	"supernats/bridge/supervisord"
	"supernats/schema"
	"supernats/schema/codec"
)

// goTranscript is a run of the Go port (ochinchina/supervisord at ce0722f, 2026-11):
// the events as a listener read them, its log, and, for each event, how long the log
// was when the event came and what getProcessInfo answered then. Its programs were
//
//	web      sleep 2; exit 7, startsecs=1, startretries=2
//	once     sleep 2; exit 3, startsecs=1, autorestart=false
//	killed   sleep 3; kill -KILL $$, startsecs=1, autorestart=false
//	early    exit 4, startretries=2
//	missing  /no/such/program
//	fine     sleep 1000, stopped at the end
type goTranscript struct {
	log     string
	events  []*schema.Event
	answers map[uint64]goAnswer
	visible uint64 // the serial of the last event that has come
	// silent hides the log; calls counts those that were made, by method.
	silent bool
	calls  map[string]int
}

type goAnswer struct {
	Serial uint64 `json:"serial"`
	Log    int    `json:"log"`
	Info   string `json:"info"`
}

func readGoTranscript(t *testing.T) *goTranscript {
	t.Helper()
	read := func(name string) string {
		b, err := os.ReadFile("testdata/goport/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	g := &goTranscript{log: read("supervisord.log"), answers: map[uint64]goAnswer{}, calls: map[string]int{}}
	for l := range strings.Lines(read("answers.jsonl")) {
		var a goAnswer
		if err := json.Unmarshal([]byte(l), &a); err != nil {
			t.Fatal(err)
		}
		g.answers[a.Serial] = a
	}
	in := bufio.NewReader(strings.NewReader(read("events")))
	for {
		header, err := in.ReadString('\n')
		if err == io.EOF {
			return g
		}
		h := map[string]string{}
		for pair := range strings.FieldsSeq(header) {
			key, value, _ := strings.Cut(pair, ":")
			h[key] = value
		}
		n, _ := strconv.Atoi(h["len"])
		payload := make([]byte, n+1)
		if _, err := io.ReadFull(in, payload); err != nil {
			t.Fatal(err)
		}
		payload = payload[:n]
		if strings.HasPrefix(h["eventname"], "TICK") {
			payload = []byte("when:1") // no test depends on the calendar
		}
		serial, _ := strconv.ParseUint(h["serial"], 10, 64)
		pool, _ := strconv.ParseUint(h["poolserial"], 10, 64)
		g.events = append(g.events, codec.Decode(codec.Raw{
			Event: h["eventname"], Server: h["server"], Pool: h["pool"], Serial: serial, PoolSerial: pool, Payload: payload,
		}, "host", testBoot))
	}
}

var methodName = regexp.MustCompile(`<methodName>(.*?)</methodName>`)

func (g *goTranscript) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	method := methodName.FindStringSubmatch(string(b))[1]
	g.calls[method]++
	switch a := g.answers[g.visible]; {
	case method == "supervisor.getProcessInfo" && a.Info != "":
		fmt.Fprint(w, a.Info)
	case method == "supervisor.readLog" && !g.silent:
		var args [2]int
		for i, m := range regexp.MustCompile(`<int>(-?\d+)</int>`).FindAllStringSubmatch(string(b), 2) {
			args[i], _ = strconv.Atoi(m[1])
		}
		log := g.log[:a.Log]
		from := min(args[0], len(log))
		to := len(log)
		if args[1] > 0 {
			to = min(from+args[1], len(log))
		}
		fmt.Fprint(w, response("<string>"+
			strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;").Replace(log[from:to])+"</string>"))
	default:
		http.Error(w, fmt.Sprintf("rpc: can't find service %q", method), http.StatusBadRequest)
	}
}

func TestGoPort(t *testing.T) {
	g := readGoTranscript(t)
	var raised []string
	web := httptest.NewServer(g)
	t.Cleanup(web.Close)
	client := newClient(t, supervisord.Config{URL: web.URL})
	r := New(Config{
		Server: server{client}, Journal: client.OwnLog(), Boot: testBoot, Limit: 20 * time.Second,
		Warn:  func(err error) { t.Errorf("warning: %v", err) },
		Raise: func(cause, text, _ string) { raised = append(raised, cause+": "+text) },
	})
	want := map[string]string{
		"web": "code 7", "once": "code 3", "killed": "SIGKILL", "early": "code 4",
		"missing": "spawnerr fork/exec /no/such/program: no such file or directory",
	}
	died := map[string]int{}
	for _, e := range g.events {
		g.visible = e.Serial
		r.Explain(t.Context(), []Received{{Event: e, At: time.Now()}})
		if e.Event == "PROCESS_STATE_STOPPING" {
			want[e.Process] = "SIGTERM"
		}
		if !isDeath(e) {
			continue
		}
		died[e.Process]++
		if got := reasontest.Show(e.Exit); got != want[e.Process] {
			t.Errorf("%s of %s, serial %d: got %s, want %s", e.Event, e.Process, e.Serial, got, want[e.Process])
		}
	}
	if len(died) != 6 || died["web"] < 5 {
		t.Errorf("deaths: %v", died)
	}
	if g.calls["system.multicall"] != 1 {
		t.Errorf("calls: %v", g.calls)
	}
	if len(raised) > 0 {
		t.Errorf("raised %q", raised)
	}
}

// TestGoPortInfo: what its log does not say getProcessInfo may.
func TestGoPortInfo(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name string
		p    schema.SnapshotProcess
		want string
	}{
		{name: "exited", p: schema.SnapshotProcess{State: "EXITED", ExitStatus: 3, Stop: now.Unix()}, want: "code 3"},
		{
			name: "of another death", p: schema.SnapshotProcess{State: "EXITED", ExitStatus: 3, Stop: now.Unix() - 60},
			want: "unknown",
		},
		{
			name: "started again",
			p:    schema.SnapshotProcess{State: "STARTING", PID: 7, ExitStatus: 3, Stop: now.Unix()}, want: "unknown",
		},
		{
			name: "a signal", p: schema.SnapshotProcess{State: "EXITED", ExitStatus: -1, Stop: now.Unix()},
			want: "unknown",
		},
		{
			name: "in another state", p: schema.SnapshotProcess{State: "FATAL", ExitStatus: 0, Stop: now.Unix()},
			want: "unknown",
		},
	} {
		e := &schema.Event{Event: schema.ProcessStateExited}
		if got := reasontest.Show(rowExit(e, &test.p, time.Time{}, now, true)); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}
