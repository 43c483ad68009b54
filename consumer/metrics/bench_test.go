package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"supernats/consumer/fleet"
)

// discarding is a client that takes everything at once.
type discarding struct {
	header http.Header
	bytes  int64
}

func (d *discarding) Header() http.Header { return d.header }
func (d *discarding) WriteHeader(int)     {}

func (d *discarding) Write(b []byte) (int, error) {
	d.bytes += int64(len(b))
	return len(b), nil
}

// newScrape returns a request of Prometheus, and where its answer goes.
func newScrape() (*discarding, *http.Request) {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", openMetrics)
	return &discarding{header: http.Header{}}, r
}

// BenchmarkScrape measures a scrape of 200,000 processes on 10,000 hosts, all of which have
// been seen again since the last one.
func BenchmarkScrape(b *testing.B) {
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			d := newDaemon(crowd(10_000)...)
			w, r := newScrape()
			r.Header.Set("Accept-Encoding", encoding)
			d.serveMetrics(w, r)

			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				d.snapshot = seenAgain(d.snapshot)
				w.header, w.bytes = http.Header{}, 0
				b.StartTimer()
				d.serveMetrics(w, r)
			}
			b.ReportMetric(float64(w.bytes)/1e6, "MB/scrape")
		})
	}
}

// seenAgain returns a snapshot with other hosts, and the same processes.
func seenAgain(s *fleet.Snapshot) *fleet.Snapshot {
	next := *s
	next.Hosts = make([]*fleet.Host, len(s.Hosts))
	for i, h := range s.Hosts {
		other := *h
		next.Hosts[i] = &other
	}
	return &next
}

// BenchmarkScrapeOverHTTP measures the same from the request to the last byte at a client.
func BenchmarkScrapeOverHTTP(b *testing.B) {
	d := newDaemon(crowd(10_000)...)
	mux := http.NewServeMux()
	d.Register(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	client := http.Client{Transport: &http.Transport{DisableCompression: true}}

	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			for b.Loop() {
				r, err := http.NewRequest(http.MethodGet, server.URL+"/metrics", nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Accept", openMetrics)
				r.Header.Set("Accept-Encoding", encoding)
				answer, err := client.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, answer.Body); err != nil {
					b.Fatal(err)
				}
				_ = answer.Body.Close()
			}
		})
	}
}
