package bridge

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"supernats/bridge/record/recordtest"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// An event larger than a message may be arrives whole, in parts, and what comes
// after it follows.
func TestLargeEvent(t *testing.T) {
	const most = 1 << 20 // nats-server's default
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	server := streamtest.Start(t)
	text := strings.Repeat("进程退出 \"web\" \\ <br>\x00\x1b\n", 3*mib/32)
	cfg := goodConfig()
	cfg.NATS = natsconn.Settings{URL: server.URL}
	cfg.SpoolDir = t.TempDir()
	cfg.Drain = 60e9
	b, err := New(cfg, testBoot, "test", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	event := func(serial int, name, payload string) string {
		return fmt.Sprintf("ver:3.0 server:supervisor serial:%d pool:supernats poolserial:%d eventname:%s len:%d\n%s",
			serial, serial, name, utf8.RuneCountInString(payload), payload)
	}
	in := event(1, "REMOTE_COMMUNICATION", "type:a large: one\n"+text) + event(2, "TICK_5", "when:1201063880")
	if err := b.Run(ctx, strings.NewReader(in), io.Discard); err != nil {
		t.Fatal(err)
	}

	var msgs []*nats.Msg
	for _, m := range streamtest.Stored(t, server.JetStream(), stream.Events) {
		if m.Subject() == "supervisor.bridge.web1.trouble" {
			continue // past the spool, that there is no XML-RPC
		}
		msgs = append(msgs, &nats.Msg{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
	}
	last := len(msgs) - 2 // the record of the stop follows it
	if last < 5 || msgs[last+1].Subject != "supervisor.bridge.web1.stopping" ||
		msgs[0].Subject != "supervisor.bridge.web1.started" || msgs[last].Subject != "supervisor.event.web1.-.-.tick.5" {
		for _, m := range msgs {
			t.Log(m.Subject)
		}
		t.Fatalf("%d messages are stored", len(msgs))
	}
	if got := msgs[last].Header.Get(stream.HeaderTTL); got != "3600s" {
		t.Errorf("the tick has a time to live of %q", got)
	}
	parts := msgs[1:last]
	if want := "supervisor.event.web1.-.-.remote_communication.a=20large=3A=20one"; parts[0].Subject != want {
		t.Errorf("the event is on %s", parts[0].Subject)
	}
	recordtest.CheckParts(t, parts, "web1/0123456789abcdef/1", text, most)
}
