package source

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
)

// What was read is bounded in bytes, not only in messages.
func TestBigMessagesDoNotFillMemory(t *testing.T) {
	f := fleettest.New(t)
	big := strings.Repeat("x", 1000<<10)
	var last uint64
	for range 100 {
		last = f.PublishRaw("supervisor.snapshot.web1", big)
	}
	src, err := Open(t.Context(), f.JS, Known{Lineages: new(Lineages)}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f.Until("as much is read as may be", func() bool {
		src.mu.Lock()
		defer src.mu.Unlock()
		return src.aheadBytes >= maxAhead
	})
	for n := 0; n < 100; {
		batch, err := src.Batch(t.Context(), 10*time.Second)
		if err != nil || len(batch) == 0 {
			t.Fatal(n, err)
		}
		size := 0
		for i := range batch {
			size += len(batch[i].Data)
		}
		if size > maxAhead+len(big) {
			t.Fatalf("%d bytes at once", size)
		}
		n += len(batch)
	}
	if src.last.Seq != last {
		t.Error(src.last.Seq)
	}
}
