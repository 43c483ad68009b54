package page_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
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

// followPage gets the first page, and returns the lines of its stream.
func followPage(b *testing.B, address string) <-chan string {
	answer, err := http.Get(address + "/")
	if err != nil {
		b.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	id := regexp.MustCompile(`data-id="([^"]+)"`).FindSubmatch(text)
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
