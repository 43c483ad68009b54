package bridge

import (
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"supernats/bridge/record"
	"supernats/schema"
)

// An event that supervisord offers again, because its listener died between storing
// it and the answer, is answered and not stored twice; another event is, and the
// same one of another boot.
func TestOfferedAgain(t *testing.T) {
	cfg := Config{Host: "web1", SpoolDir: t.TempDir(), SpoolMax: 16 << 20, Drain: schema.Duration(0)}
	var got []string
	life := func(boot byte, headers ...string) {
		t.Helper()
		b, err := New(cfg, [record.BootSize]byte{boot}, "test", zerolog.Nop())
		if err == nil {
			err = b.openSpool(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range headers {
			if err := b.accept(context.Background(), []byte(h), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.journal.Spool().Rewind(); err != nil {
			t.Fatal(err)
		}
		b.journal.Spool().Finish()
		got = nil
		for {
			rec, ok, err := b.journal.Spool().Next()
			if err == io.EOF {
				break
			}
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			if v, _ := record.Parse(rec); v.IsEvent() {
				got = append(got, string(v.Header))
			}
		}
		// The stream has all of them, and forgets.
		if boot == 1 && len(headers) == 2 {
			if err := b.journal.Spool().Ack(int(b.journal.Spool().Stats().Records), 7); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.journal.Spool().Close(); err != nil {
			t.Fatal(err)
		}
	}
	const (
		one   = "ver:3.0 server:s serial:1 pool:supernats poolserial:1 eventname:X len:0"
		two   = "ver:3.0 server:s serial:2 pool:supernats poolserial:2 eventname:X len:0"
		three = "ver:3.0 server:s serial:3 pool:supernats poolserial:3 eventname:X len:0"
	)
	life(1, one, two)
	life(1, two, three, three, two)
	// A rejected event of long ago is stored: the stream knows its id.
	if diff := cmp.Diff([]string{three, two}, got); diff != "" {
		t.Errorf("spool of the second life (-want +got):\n%s", diff)
	}
	life(2, two)
	if diff := cmp.Diff([]string{three, two, two}, got); diff != "" {
		t.Errorf("spool of another supervisord (-want +got):\n%s", diff)
	}
}
