package publish

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/bridge/publish/aside"
	"supernats/bridge/publish/publishtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

func asideMessage(id string) *nats.Msg {
	return &nats.Msg{
		Subject: "supervisor.bridge.web1.trouble", Data: []byte(id), Header: nats.Header{nats.MsgIdHdr: {id}},
	}
}

// asides returns what the stream holds of messages past the source.
func asides(tb testing.TB, js jetstream.JetStream) []string {
	tb.Helper()
	var got []string
	for _, m := range stored(tb, js) {
		if m.Subject() != publishtest.Subject {
			got = append(got, string(m.Data()))
		}
	}
	return got
}

// A message past the source arrives while the stream refuses the source's records.
func TestAsideWhileRefused(t *testing.T) {
	s := streamtest.Start(t)
	js := s.JetStream()
	c := stream.EventsConfig(stream.DefaultLimits(), 1)
	c.Subjects = []string{"supervisor.bridge.>"} // nobody takes events
	if _, err := js.CreateStream(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	r := start(t, s.URL, numbered(10))
	r.log.wait(t, "events are not getting into JetStream")
	r.Aside("full", asideMessage("full"))
	publishtest.WaitFor(t, func() bool { return len(asides(t, js)) == 1 })
	m := stored(t, js)[0]
	sent, err := time.Parse("2006-01-02T15:04:05.000000Z", m.Headers().Get(stream.HeaderSent))
	if err != nil || time.Since(sent) > time.Minute {
		t.Errorf("header %s is %q", stream.HeaderSent, m.Headers().Get(stream.HeaderSent))
	}
}

// Without a connection messages wait: one of each key, and the newest aside.Max.
func TestAsideWaits(t *testing.T) {
	s := streamtest.Start(t)
	js := s.JetStream()
	makeStream(t, js)
	s.Stop()
	r := start(t, s.URL, numbered(10).allow(0))
	r.Aside("a", asideMessage("a old"))
	r.Aside("a", asideMessage("a new"))
	var want []string
	for n := range aside.Max + 1 {
		id := fmt.Sprint(n)
		r.Aside(id, asideMessage(id))
		if n > 0 {
			want = append(want, id)
		}
	}
	r.log.wait(t, "a record of the bridge is dropped")
	s.Restart()
	publishtest.WaitFor(t, func() bool { return has(js, len(want)) })
	if diff := cmp.Diff(want, asides(t, js)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	r.Aside("a", asideMessage("a"))
	publishtest.WaitFor(t, func() bool { return has(js, len(want)+1) })
}

// A denial of what is published past the source does not disturb the source, or what is
// allowed.
func TestAsideDenied(t *testing.T) {
	s := streamtest.Start(t, permitted(server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"supervisor.bridge.web1.trouble"}},
	}))
	js := s.JetStream()
	makeStream(t, js)
	src := numbered(100).allow(0)
	r := start(t, asHost(s), src, func(c *Config) { c.Ensure = noStream })
	r.Aside("denied", asideMessage("denied"))
	resent := asideMessage("resent")
	resent.Subject = "supervisor.bridge.web1.resent"
	r.Aside("resent", resent)
	for n := range 100 {
		src.allow(n + 1)
		time.Sleep(5 * time.Millisecond)
	}
	src.waitAcked(t, 100)
	publishtest.WaitFor(t, func() bool { return has(js, 101) })
	if diff := cmp.Diff([]string{"resent"}, asides(t, js)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if strings.Contains(r.log.String(), "not getting into") {
		t.Errorf("the source was disturbed:\n%s", r.log)
	}
}

// Messages that wait when the source ends are published before Run returns.
func TestAsideAtTheEnd(t *testing.T) {
	s := streamtest.Start(t)
	js := s.JetStream()
	makeStream(t, js)
	cfg := config(s.URL, numbered(1))
	cfg.Log = zerolog.Nop()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		p.Aside(fmt.Sprint(n), asideMessage(fmt.Sprint(n)))
	}
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(asides(t, js)); n != 10 {
		t.Errorf("%d messages are stored, want 10", n)
	}
}
