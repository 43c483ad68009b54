// Package logtest keeps logs, lines of JSON, for tests.
package logtest

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
)

// Buffer is a log that can be read while it is written.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Find waits for the first line whose message has a text, and returns its fields.
func (b *Buffer) Find(tb testing.TB, message string) map[string]any {
	tb.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for line := range strings.Lines(b.String()) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				tb.Fatalf("%v: %s", err, line)
			}
			if s, _ := fields["message"].(string); strings.Contains(s, message) {
				return fields
			}
		}
	}
	tb.Fatalf("no line with %q in\n%s", message, b)
	return nil
}
