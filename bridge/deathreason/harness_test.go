package deathreason

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"supernats/bridge/deathreason/reasontest"
	"supernats/bridge/supervisord"
	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
)

// TestMain makes the test program a listener that keeps every event in a file,
// if supervisord starts it as one.
func TestMain(m *testing.M) {
	if path := os.Getenv("TEST_LISTENER"); path != "" {
		if err := listen(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func listen(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	for {
		fmt.Print("READY\n")
		header, err := in.ReadString('\n')
		if err != nil {
			return nil // supervisord stops
		}
		n, err := strconv.Atoi(strings.TrimSpace(header[strings.LastIndexByte(header, ':')+1:]))
		if err != nil {
			return err
		}
		var payload bytes.Buffer
		for range n { // characters
			r, _, err := in.ReadRune()
			if err != nil {
				return err
			}
			payload.WriteRune(r)
		}
		rec := fmt.Sprintf("%d %d %d\n%s%s\n", time.Now().UnixMicro(), len(header), payload.Len(), header,
			payload.Bytes())
		if _, err := f.WriteString(rec); err != nil {
			return err
		}
		fmt.Print("RESULT 2\nOK")
	}
}

const testBoot = "0123456789abcdef"

// fixture is a supervisord with a listener, and the programs of a test.
type fixture struct {
	*supervisordtest.Supervisord
	events int64 // how far the events were read
}

// start runs supervisord with the sections; DIR in them is its directory, and
// CRASH a program that writes into DIR/fate.GROUP:NAME how it will die.
func start(tb testing.TB, sections string) *fixture {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: needs a supervisord")
	}
	dir := supervisordtest.Dir(tb)
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(dir+"/crash.sh", []byte(crash), 0o755); err != nil {
		tb.Fatal(err)
	}
	sections = listenerSection(exe) + sections
	sections = strings.NewReplacer("DIR", dir, "CRASH", "/bin/sh "+dir+"/crash.sh "+dir).Replace(sections)
	if err := supervisordtest.WriteConf(dir, "supervisor", sections); err != nil {
		tb.Fatal(err)
	}
	return &fixture{Supervisord: supervisordtest.StartIn(tb, dir)}
}

func listenerSection(exe string) string {
	return `
[eventlistener:listener]
command=` + exe + `
environment=TEST_LISTENER="DIR/events"
events=EVENT
buffer_size=65536
startsecs=0
priority=-17
stdout_logfile=NONE
stderr_logfile=DIR/listener.stderr.log
`
}

// crash dies in one of eight ways, by its pid, at once, or after a time that is
// its argument. It lives on once the file quiet is there.
const crash = `
dir=$1
fate="$dir/fate.$SUPERVISOR_GROUP_NAME:$SUPERVISOR_PROCESS_NAME"
ulimit -c 0
if [ -e "$dir/quiet" ]; then exec sleep 1000; fi
if [ -n "$2" ]; then sleep "$2"; fi
case $(($$ % 8)) in
0) how=KILL ;;
1) how=SEGV ;;
2) how=TERM ;;
3) how=ABRT ;;
4) how=3 ;;
5) how=255 ;;
6) how=1 ;;
7) how=0 ;;
esac
echo "$$ $how" >> "$fate"
echo "$$ dies of $how" >&2
case $how in
[0-9]*) exit $how ;;
*) kill -$how $$ ;;
esac
`

// read returns the events that have come since the last call.
func (f *fixture) read(tb testing.TB) []Received {
	tb.Helper()
	b, err := os.ReadFile(f.Dir + "/events")
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	if int64(len(b)) < f.events {
		tb.Fatal("the listener's file has shrunk")
	}
	b = b[f.events:]
	var events []Received
	for {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		var at int64
		var head, body int
		if !ok {
			return events
		}
		if _, err := fmt.Sscan(string(line), &at, &head, &body); err != nil {
			tb.Fatal(err)
		}
		if len(rest) < head+body+1 {
			return events
		}
		f.events += int64(len(line) + 1 + head + body + 1)
		b = rest[head+body+1:]
		raw := codec.Raw{Payload: rest[head : head+body]}
		for pair := range strings.FieldsSeq(string(rest[:head])) {
			key, value, _ := strings.Cut(pair, ":")
			n, _ := strconv.ParseUint(value, 10, 64)
			switch key {
			case "server":
				raw.Server = value
			case "pool":
				raw.Pool = value
			case "serial":
				raw.Serial = n
			case "poolserial":
				raw.PoolSerial = n
			case "eventname":
				raw.Event = value
			}
		}
		events = append(events, Received{Event: codec.Decode(raw, "host", testBoot), At: time.UnixMicro(at)})
	}
}

// collect reads events until done says that there are enough.
func (f *fixture) collect(tb testing.TB, what string, done func([]Received) bool) []Received {
	tb.Helper()
	var all []Received
	// An idle machine takes seconds; how busy this one is says nothing about the reasons.
	supervisordtest.Wait(tb, 5*time.Minute, func() bool {
		all = append(all, f.read(tb)...)
		return done(all)
	}, "%s", what)
	return all
}

func (f *fixture) client(tb testing.TB) *supervisord.Client {
	tb.Helper()
	return newClient(tb, supervisord.Config{URL: "unix://" + f.Dir + "/supervisor.sock"})
}

// quiet stops the dying.
func (f *fixture) quiet(tb testing.TB) {
	tb.Helper()
	if err := os.WriteFile(f.Dir+"/quiet", nil, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// fates returns how the runs of each process died, in order, as exits.
func (f *fixture) fates(tb testing.TB) map[string][]fate {
	tb.Helper()
	fates := map[string][]fate{}
	paths, _ := filepath.Glob(f.Dir + "/fate.*")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		_, name, _ := strings.Cut(filepath.Base(path), ".")
		for l := range strings.Lines(string(b)) {
			pid, how, _ := strings.Cut(strings.TrimSpace(l), " ")
			var w fate
			w.pid, _ = strconv.Atoi(pid)
			if code, err := strconv.Atoi(how); err == nil {
				w.exit = schema.Exit{Code: &code}
			} else {
				w.exit = schema.Exit{Signal: "SIG" + how}
			}
			fates[name] = append(fates[name], w)
		}
	}
	return fates
}

type fate struct {
	pid  int
	exit schema.Exit
}

// truth returns the true reason of every death among all events from the first
// on, by serial.
func truth(tb testing.TB, f *fixture, all []Received) map[uint64]string {
	tb.Helper()
	fates := f.fates(tb)
	reasons := map[uint64]string{}
	last := map[string]string{}
	for _, r := range all {
		e := r.Event
		id := e.Group + ":" + e.Process
		switch e.Event {
		case schema.ProcessStateExited, schema.ProcessStateBackoff:
			why := "spawnerr can't find command '/nonexistent/" + e.Group + "'"
			if !strings.HasPrefix(e.Group, "missing") {
				if len(fates[id]) == 0 {
					tb.Fatalf("%s %s: the program has written nothing", id, e.Event)
				}
				next := fates[id][0]
				if e.PID != 0 && next.pid != e.PID {
					tb.Fatalf("%s: the program says pid %d, the event %d", id, next.pid, e.PID)
				}
				why = reasontest.Show(&next.exit)
				fates[id] = fates[id][1:]
			}
			last[id] = why
			if isDeath(e) {
				reasons[e.Serial] = why
			}
		case schema.ProcessStateFatal:
			reasons[e.Serial] = last[id]
		}
	}
	return reasons
}

// score counts the deaths of a batch whose reason is right and unknown; a wrong
// one fails the test.
func score(tb testing.TB, want map[uint64]string, events []Received) (right, unknown int) {
	tb.Helper()
	for _, r := range events {
		e := r.Event
		if !isDeath(e) {
			if e.Exit != nil {
				tb.Errorf("%s of serial %d has a reason", e.Event, e.Serial)
			}
			continue
		}
		// What supervisord itself says of it is no wrong reason.
		switch got := reasontest.Show(e.Exit); {
		case got == want[e.Serial]:
			right++
		case e.Exit == nil, strings.HasPrefix(got, "spawnerr Exited too quickly") &&
			!strings.HasPrefix(want[e.Serial], "spawnerr"):
			unknown++
		default:
			tb.Errorf("%s of %s:%s, pid %d, serial %d: got %s, want %s", e.Event, e.Group, e.Process, e.PID, e.Serial,
				got, want[e.Serial])
		}
	}
	return right, unknown
}

// unexplained returns copies of events as they came.
func unexplained(events []Received) []Received {
	copies := make([]Received, len(events))
	for i, r := range events {
		e := *r.Event
		e.Exit, e.Log = nil, nil
		copies[i] = Received{Event: &e, At: r.At}
	}
	return copies
}

func deaths(events []Received) int {
	n := 0
	for _, r := range events {
		if isDeath(r.Event) {
			n++
		}
	}
	return n
}

func count(events []Received, name string) int {
	n := 0
	for _, r := range events {
		if r.Event.Event == name {
			n++
		}
	}
	return n
}

// counter is a proxy in front of supervisord's socket that counts calls.
type counter struct {
	calls, sent atomic.Int64
	url         string
}

func newCounter(tb testing.TB, socket string) *counter {
	tb.Helper()
	c := &counter{}
	target, _ := url.Parse("http://localhost")
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
		if !errors.Is(err, context.Canceled) {
			tb.Log(err)
		}
		w.WriteHeader(http.StatusBadGateway)
	}
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Body = countedBody{r.Body, &c.sent}
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.calls.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	c.url = server.URL
	return c
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

func listenUnix(path string) (net.Listener, error) { return net.Listen("unix", path) }
