package page_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/health"
	"supernats/consumer/web"
	"supernats/consumer/web/page"
	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// BenchmarkLargeFleet measures the first page of 200,000 processes on 10,000 hosts, of which
// one in a hundred is FATAL: when its first byte comes, how large it is, and how long it
// takes until a change of a record is sent to those who look at it.
func BenchmarkLargeFleet(b *testing.B) {
	const hosts, processes = 10_000, 20
	js := streamtest.Start(b).JetStream()
	if err := stream.EnsureAll(b.Context(), js, stream.DefaultLimits()); err != nil {
		b.Fatal(err)
	}
	fillBuckets(b, js, hosts, processes)
	f, address := servePages(b, js)
	for s := f.Snapshot(); !s.Status.Loaded || len(s.Hosts) < hosts; s = f.Snapshot() {
		time.Sleep(10 * time.Millisecond)
	}
	seq := 0

	b.Run("page", func(b *testing.B) {
		var first time.Duration
		size := 0
		for b.Loop() {
			begun := time.Now()
			answer, err := http.Get(address + "/")
			if err != nil {
				b.Fatal(err)
			}
			first += time.Since(begun)
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil {
				b.Fatal(err)
			}
			size = len(text)
		}
		b.ReportMetric(first.Seconds()*1e3/float64(b.N), "ms/first-byte")
		b.ReportMetric(float64(size)/1e3, "kB/page")
	})

	b.Run("change", func(b *testing.B) {
		events := followPage(b, address)
		var took time.Duration
		for b.Loop() {
			seq++
			name := fmt.Sprintf("changed_%d", seq)
			begun := time.Now()
			store(b, js, stream.AlertsBucket, schema.AlertKey("fatal", "web00001", "api", name), &schema.Alert{
				Incident: name, Rule: "fatal", Severity: "critical", Host: "web00001", Group: "api", Process: name,
				Phase: schema.PhaseFiring, Opened: schema.Time{Time: time.Now()}, Count: 1,
			})
			<-js.PublishAsyncComplete()
			for !strings.Contains(<-events, name) {
			}
			took += time.Since(begun)
		}
		b.ReportMetric(took.Seconds()*1e3/float64(b.N), "ms/change")
	})
}

func store(b *testing.B, js jetstream.JetStream, bucket, key string, record any) {
	text, err := schema.Marshal(record)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.PublishAsync("$KV."+bucket+"."+key, text); err != nil {
		b.Fatal(err)
	}
}

func fillBuckets(b *testing.B, js jetstream.JetStream, hosts, processes int) {
	now := schema.Time{Time: time.Now()}
	for i := range hosts {
		host := fmt.Sprintf("web%05d", i)
		bad := i % 5
		store(b, js, stream.HostsBucket, host, &schema.HostRecord{
			Host: host, Boot: "4f0c6d1e2a90b7c3", LastSeen: now, Running: processes - 1, Down: 1,
		})
		for j := range processes {
			p := &schema.ProcessRecord{
				Host: host, Group: "api", Process: fmt.Sprintf("api_%02d", j), State: schema.StateRunning, Since: now,
				Boot: "4f0c6d1e2a90b7c3", PID: 1000 + j, Starts: 1,
			}
			if bad == 0 && j == 7 {
				p.State, p.PID = schema.StateFatal, 0
			}
			store(b, js, stream.StateBucket, schema.StateKey(host, p.Group, p.Process), p)
		}
		if i%50 == 0 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
}

// servePages follows the buckets, and returns the address of the pages.
func servePages(b *testing.B, js jetstream.JetStream) (f *fleet.Fleet, address string) {
	f = fleet.New()
	where := &site.Site{}
	pages := page.New(page.Options{
		Site: where, Fleet: f, JetStream: func() jetstream.JetStream { return js }, Log: zerolog.Nop(),
	})
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	go func() { _ = f.Run(ctx, js, zerolog.Nop()) }()
	go func() { _ = pages.Run(ctx) }()

	server := &web.Server{
		Site: where, Rooms: []web.Room{pages}, Health: health.New(zerolog.Nop()), Ready: make(chan struct{}), Log: zerolog.Nop(),
	}
	s := httptest.NewServer(server.Handler())
	b.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return f, s.URL
}

// BenchmarkViewers measures what 200 open pages cost: of a fleet of 200,000 processes of which
// 100 change in a second, of the events that come with them, and of an incident that grows by
// 100 events in a second. Each runs for ten seconds, at first with nobody who looks. CPU is
// that of all in this process: NATS, the pages and those who look.
func BenchmarkViewers(b *testing.B) {
	const hosts, processes, rate = 10_000, 20, 100
	js := streamtest.Start(b).JetStream()
	if err := stream.EnsureAll(b.Context(), js, stream.DefaultLimits()); err != nil {
		b.Fatal(err)
	}
	fillBuckets(b, js, hosts, processes)
	f, address := servePages(b, js)
	for s := f.Snapshot(); !s.Status.Loaded || len(s.Hosts) < hosts; s = f.Snapshot() {
		time.Sleep(10 * time.Millisecond)
	}

	for _, c := range []struct {
		name    string
		viewers int
		path    string
	}{
		{name: "nobody"},
		{name: "fleet", viewers: 200, path: "/"},
		{name: "events", viewers: 200, path: "/events"},
		{name: "incident", viewers: 200, path: "/alerts/incident"},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				measureViewers(b, js, address, c.path, c.viewers, rate)
			}
		})
	}
}

func measureViewers(b *testing.B, js jetstream.JetStream, address, path string, viewers, rate int) {
	const period = 10 * time.Second
	hosts := 10_000
	if path == "/alerts/incident" {
		hosts = 1
	}
	opened := schema.Time{Time: time.Now().UTC()}
	changeFleet(b, js, opened, hosts, rate, 0) // so that there is an incident to look at
	time.Sleep(time.Second)
	var bytes, pages atomic.Int64
	var group sync.WaitGroup
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Second+period)
	defer cancel()
	for range viewers {
		group.Go(func() { browse(ctx, address, path, &bytes, &pages) })
	}
	time.Sleep(2 * time.Second)

	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	bytesBefore, pagesBefore := bytes.Load(), pages.Load()
	begun := time.Now()
	for i := 1; time.Since(begun) < period-time.Second; i++ {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * 100 * time.Millisecond)))
		changeFleet(b, js, opened, hosts, rate/10, i)
	}
	took := time.Since(begun).Seconds()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)

	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	b.ReportMetric(100*cpu.Seconds()/took, "%cpu")
	b.ReportMetric(float64(memory.HeapInuse)/1e6, "MB/heap")
	b.ReportMetric(float64(bytes.Load()-bytesBefore)/1e3/took/float64(max(1, viewers)), "kB/s/viewer")
	b.ReportMetric(float64(pages.Load()-pagesBefore)/took, "pages/s")
	cancel()
	group.Wait()
}

// changeFleet changes n processes of some hosts, each with its event, and the record of the
// incident of the first.
func changeFleet(b *testing.B, js jetstream.JetStream, opened schema.Time, hosts, n, round int) {
	now := schema.Time{Time: time.Now().UTC()}
	for i := range n {
		host := fmt.Sprintf("web%05d", (round*n+i)%hosts)
		e := &schema.Event{
			Event: schema.ProcessStateExited, Host: host, Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Pool: "supernats",
			Group: "api", Process: "api_03", Expected: new(false), PID: 7, Serial: uint64(time.Now().UnixNano()),
		}
		text, err := schema.Marshal(e.Envelope(now.Time))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishAsync(e.Subject(), text); err != nil {
			b.Fatal(err)
		}
		store(b, js, stream.StateBucket, schema.StateKey(host, "api", "api_03"), &schema.ProcessRecord{
			Host: host, Group: "api", Process: "api_03", State: schema.StateBackoff, Since: now, Boot: "4f0c6d1e2a90b7c3",
			Seq: e.Serial,
		})
		store(b, js, stream.AlertsBucket, schema.AlertKey("exit", "web00000", "api", "api_03"), &schema.Alert{
			Incident: "incident", Rule: "exit", Severity: "critical", Host: "web00000", Group: "api", Process: "api_03",
			Phase: schema.PhaseFiring, Opened: opened, Count: round*n + i + 1, Seq: e.Serial, Kind: schema.KindEvent,
		})
	}
	<-js.PublishAsyncComplete()
}

// browse does what a browser does with a page: it follows its stream, and fetches it again
// when it is asked to, a moment after the last time.
func browse(ctx context.Context, address, path string, bytes, pages *atomic.Int64) {
	get := func(url string) (io.ReadCloser, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+url, nil)
		if err != nil {
			return nil, err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return nil, err
		}
		return answer.Body, nil
	}
	fetch := func() (text []byte) {
		if body, err := get(path); err == nil {
			text, _ = io.ReadAll(body)
			_ = body.Close()
		}
		bytes.Add(int64(len(text)))
		pages.Add(1)
		return text
	}
	id := idOf.FindSubmatch(fetch())
	if id == nil {
		return
	}
	body, err := get("/api/v1/stream?" + url.Values{"view": {path}, "after": {string(id[1])}}.Encode())
	if err != nil {
		return
	}
	defer body.Close()

	resets := make(chan int, 1)
	defer close(resets)
	go func() {
		for within := range resets {
			time.Sleep(time.Duration(rand.IntN(within+1)) * time.Millisecond)
			fetch()
			time.Sleep(500*time.Millisecond + rand.N(500*time.Millisecond))
		}
	}()
	for r, isReset := bufio.NewReader(body), false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		bytes.Add(int64(len(line)))
		if m := within.FindStringSubmatch(line); isReset && m != nil {
			n, _ := strconv.Atoi(m[1])
			select {
			case resets <- n:
			default:
			}
		}
		isReset = line == "event: reset\n"
	}
}

var (
	idOf   = regexp.MustCompile(`data-id="([^"]+)"`)
	within = regexp.MustCompile(`"within":(\d+)`)
)

// followPage gets the first page, and returns the lines of its stream.
func followPage(b *testing.B, address string) <-chan string {
	answer, err := http.Get(address + "/")
	if err != nil {
		b.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	id := idOf.FindSubmatch(text)
	if id == nil {
		b.Fatalf("no page: %.500s", text)
	}
	stream, err := http.Get(address + "/api/v1/stream?" + url.Values{"view": {"/"}, "after": {string(id[1])}}.Encode())
	if err != nil {
		b.Fatal(err)
	}

	lines := make(chan string, 1000)
	go func() {
		for r := bufio.NewReader(stream.Body); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	return lines
}
