package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A right that the daemon does not have is in its log, as the rest is.
func TestRightThatIsMissing(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "all"},
			{Username: "daemon", Password: "daemon", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$KV." + stream.MutesBucket + ".>"}}}},
		}
	})
	nc, err := nats.Connect(s.URL, nats.UserInfo("all", "all"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadText(t, "nats: {url: '"+strings.Replace(s.URL, "://", "://daemon:daemon@", 1)+"'}\nlisten: ''\n")
	if err != nil {
		t.Fatal(err)
	}
	var log fleettest.Buffer
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	const said = "nats: permissions violation"
	for end := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), said); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log does not say it:\n%s", log.String())
		}
	}
}
