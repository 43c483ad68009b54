package bridge

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"supernats/bridge/deathreason"
	"supernats/bridge/publish"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/bridge/spool/queue"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// leave puts a record into a spool, as an earlier run does.
func leave(tb testing.TB, dir string, rec []byte) {
	tb.Helper()
	s, err := spool.Open(context.Background(), spool.Options{Dir: dir, Max: 1 << 30})
	if err == nil {
		err = s.Append(rec)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// A table in the spool is divided by what the server takes when it is published.
func TestTableOverServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	server := streamtest.Start(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	const rows = 3000
	rec := tableRecord(t, rows)
	dir := t.TempDir()
	leave(t, dir, rec)
	sp, err := queue.Open(ctx, queue.Options{
		Spool: spool.Options{Max: 1 << 30, Event: record.EventPlace},
		Find:  func() (string, error) { return dir, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	sp.Finish()
	from := &source{
		queue: sp, encoder: testEncoder(), reasons: deathreason.New(deathreason.Config{}), metrics: testMetrics(),
	}
	p, err := publish.New(publish.Config{
		Source: from, Stream: stream.Events, Ensure: ensureStream, Log: zerolog.Nop(),
		Lost:    func(_ publish.Record, err error) { t.Error(err) },
		Connect: func(more ...nats.Option) (*nats.Conn, error) { return nats.Connect(server.URL, more...) },
	})
	if err == nil {
		err = p.Run(ctx)
	}
	if err == nil {
		err = sp.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range streamtest.Stored(t, server.JetStream(), stream.Events) {
		var ce struct {
			Data struct{ Processes []json.RawMessage }
		}
		if err := json.Unmarshal(m.Data(), &ce); err != nil {
			t.Fatal(err)
		}
		n += len(ce.Data.Processes)
		if sent, err := time.Parse(time.RFC3339, m.Headers().Get(stream.HeaderSent)); err != nil ||
			time.Since(sent) > time.Minute || time.Since(sent) < -time.Minute {
			t.Errorf("header %s: %q", stream.HeaderSent, m.Headers().Get(stream.HeaderSent))
		}
	}
	if n != rows {
		t.Errorf("the stream has %d rows, want %d", n, rows)
	}
}
