package bridge

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A spool that takes long to open is reported without it, and when it is open.
func TestTroubleEarly(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	cfg := goodConfig()
	cfg.NATS = natsconn.Settings{URL: nats.URL}
	b, err := New(cfg, testBoot, "test", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	last := func() (got string) {
		s, err := nats.JetStream().Stream(ctx, stream.Events)
		if err != nil {
			return ""
		}
		m, err := s.GetLastMsgForSubject(ctx, "supervisor.bridge.web1.trouble")
		if err != nil {
			return ""
		}
		ce, err := schema.Unmarshal[*schema.Trouble](m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if ce.Data.Over {
			return "over " + ce.Data.Cause
		}
		return ce.Data.Cause
	}

	b.publishEarly(ctx)() // one that is open at once
	stop := b.publishEarly(ctx)
	supervisordtest.Wait(t, 30*time.Second, func() bool { return last() == "spool-slow" }, "the trouble")
	if got := b.troubles.Lasting(); len(got) != 1 || !strings.Contains(got[0].Text, "no event is accepted") {
		t.Errorf("lasting: %+v", got)
	}
	stop()
	supervisordtest.Wait(t, 30*time.Second, func() bool { return last() == "over spool-slow" }, "its end")
	s, err := nats.JetStream().Stream(ctx, stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil || info.State.Msgs != 2 {
		t.Errorf("%d messages, %v", info.State.Msgs, err)
	}
}
