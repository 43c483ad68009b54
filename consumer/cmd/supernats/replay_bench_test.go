package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// BenchmarkReplay is how many events a second `supernats replay -o jsonl > file` writes,
// its start included.
func BenchmarkReplay(b *testing.B) {
	const events = 1_000_000
	s := streamtest.Start(b)
	js := s.JetStream()
	if err := stream.EnsureAll(b.Context(), js, stream.DefaultLimits()); err != nil {
		b.Fatal(err)
	}
	storeEvents(b, js, events)
	out := filepath.Join(b.TempDir(), "events.jsonl")

	for b.Loop() {
		f, err := os.Create(out)
		if err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command(binary, "replay", "-o", "jsonl", "--nats-url", s.URL)
		cmd.Stdout, cmd.Stderr = f, os.Stderr
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}

	b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	if n := countLines(b, out); n != events {
		b.Errorf("%d events, want %d", n, events)
	}
}

// storeEvents publishes the lives of 200 processes on 20 hosts.
func storeEvents(b *testing.B, js jetstream.JetStream, count int) {
	b.Helper()
	names := []string{schema.ProcessStateStarting, schema.ProcessStateRunning, schema.ProcessStateExited}
	begin := time.Now().Add(-time.Hour)
	for n := range count {
		p := n % 200
		e := &schema.Event{
			Event: names[n/200%3], Host: fmt.Sprintf("web%d", p%20), Server: "supervisor", Boot: "4f0c6d1e2a90b7c3",
			Serial: uint64(n), Pool: "supernats", Group: "api", Process: fmt.Sprintf("api_%03d", p), PID: 1000 + p,
		}
		if e.Event == schema.ProcessStateExited {
			e.Expected, e.Exit = new(n%100 != 0), &schema.Exit{Code: new(n % 4)}
		}
		data, err := schema.Marshal(e.Envelope(begin.Add(time.Duration(n) * time.Millisecond)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishAsync(e.Subject(), data, jetstream.WithStallWait(30*time.Second)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

// countLines returns how many lines a file has.
func countLines(b *testing.B, file string) (n int) {
	b.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range text {
		if c == '\n' {
			n++
		}
	}
	return n
}
