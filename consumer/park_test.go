package consumer_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/fleettest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

func TestParked(t *testing.T) {
	payload := "\x00 no JSON \xff <&> é"
	for name, c := range map[string]struct {
		err   func(m *consumer.Message) error
		tries string
	}{
		"after MaxTries": {
			err:   func(*consumer.Message) error { return errors.New("no such table") },
			tries: "3",
		},
		"at once": {
			err:   func(*consumer.Message) error { return consumer.Park(errors.New("no such table")) },
			tries: "1",
		},
		"at once, wrapped": {
			err:   func(*consumer.Message) error { return fmt.Errorf("no such %w", consumer.Park(errors.New("table"))) },
			tries: "1",
		},
		"at once, a later try": {
			err:   func(m *consumer.Message) error { return parkAt(m, 2, errors.New("no such table")) },
			tries: "2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, js := start(t)
			h := newHanded(func(m *consumer.Message) error {
				if m.Seq == 1 {
					return c.err(m)
				}
				return nil
			})
			run(t, consumer.Config{JetStream: js, Handler: h, MaxTries: 3, BackOff: []time.Duration{10 * time.Millisecond}})
			if _, err := js.PublishMsg(t.Context(), &nats.Msg{
				Subject: subject, Data: []byte(payload),
				Header: nats.Header{"Content-Type": {"text/plain"}, "X-Two": {"a", "b"}, stream.HeaderTTL: {"1h"}},
			}, jetstream.WithMsgID("web1/1/1"), jetstream.WithExpectStream(stream.Events)); err != nil {
				t.Fatal(err)
			}
			publish(t, js, "next")
			for h.next(t).Seq != 2 {
			}
			settled(t, js, stream.Events, "test")
			all := parked(t, js)
			if len(all) != 1 {
				t.Fatalf("%d are parked", len(all))
			}
			p := all[0]
			if p.Subject != "supervisor.parked.test" || string(p.Data) != payload {
				t.Errorf("parked on %s is %q", p.Subject, p.Data)
			}
			if id := p.Header.Get(nats.MsgIdHdr); !strings.HasPrefix(id, "SUPERVISOR/test/1/") {
				t.Errorf("its id is %q", id)
			}
			p.Header.Del(nats.MsgIdHdr)
			want := nats.Header{
				"Content-Type": {"text/plain"}, "X-Two": {"a", "b"},
				consumer.HeaderParkedReason:   {"no such table"},
				consumer.HeaderParkedConsumer: {"test"},
				consumer.HeaderParkedStream:   {stream.Events},
				consumer.HeaderParkedSeq:      {"1"},
				consumer.HeaderParkedSubject:  {subject},
				consumer.HeaderParkedTries:    {c.tries},
			}
			for _, name := range []string{jetstream.SequenceHeader, jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.TimeStampHeaer} {
				p.Header.Del(name) // of reading it
			}
			if d := cmp.Diff(want, p.Header); d != "" {
				t.Error(d)
			}
		})
	}
}

// parkAt gives up at a try.
func parkAt(m *consumer.Message, try int, err error) error {
	if m.Tries < try {
		return err
	}
	return consumer.Park(err)
}

// Whoever had the message crashed each time: no error ever came back.
func TestCrashLoopIsParked(t *testing.T) {
	_, js := start(t)
	h := newHanded(nil)
	cfg := consumer.Config{JetStream: js, Durable: "test", Handler: h, MaxTries: 2}
	c, err := consumer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(t, js, "poison")
	durable, err := js.Consumer(t.Context(), stream.Events, "test")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // MaxTries, and three that do not count
		m, err := durable.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Nak(); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, js, "good")
	run(t, cfg)
	if m := h.next(t); string(m.Data) != "good" {
		t.Errorf("handled was %s", m.Data)
	}
	settled(t, js, stream.Events, "test")
	all := parked(t, js)
	if len(all) != 1 || string(all[0].Data) != "poison" ||
		all[0].Header.Get(consumer.HeaderParkedReason) != "handled 5 times without an answer" {
		t.Errorf("parked are %+v", all)
	}
}

// fetch takes the next message of a consumer of its own.
func fetch(t *testing.T, js jetstream.JetStream) jetstream.Msg {
	t.Helper()
	c, err := js.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next(jetstream.FetchMaxWait(patience))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParkedTwiceIsStoredOnce(t *testing.T) {
	_, js := start(t)
	publish(t, js, "a")
	m := fetch(t, js)
	for _, durable := range []string{"one", "one", "two"} {
		if err := consumer.ParkMessage(t.Context(), js, stream.Events, durable, m, errors.New("no")); err != nil {
			t.Fatal(err)
		}
	}
	if all := parked(t, js); len(all) != 2 {
		t.Errorf("%d are parked", len(all))
	}
}

func TestReasonOfAnyText(t *testing.T) {
	for name, c := range map[string]struct{ reason, want string }{
		"lines":       {reason: "a\r\nNats-Rollup: all\nb", want: "a  Nats-Rollup: all b"},
		"not UTF-8":   {reason: "a\xffb", want: "ab"},
		"long":        {reason: strings.Repeat("é", 2000), want: strings.Repeat("é", 512)},
		"cut in two":  {reason: "a" + strings.Repeat("é", 2000), want: "a" + strings.Repeat("é", 511)},
		"nothing":     {reason: "", want: ""},
		"other bytes": {reason: "a\x1b[31m:é", want: "a\x1b[31m:é"},
	} {
		t.Run(name, func(t *testing.T) {
			_, js := start(t)
			publish(t, js, "a")
			if err := consumer.ParkMessage(t.Context(), js, stream.Events, "test", fetch(t, js), errors.New(c.reason)); err != nil {
				t.Fatal(err)
			}
			all := parked(t, js)
			if len(all) != 1 || all[0].Header.Get(consumer.HeaderParkedReason) != c.want {
				t.Errorf("parked are %q", all[0].Header)
			}
		})
	}
}

// A message as big as the server allows has no room for the headers.
func TestBiggestMessageIsParked(t *testing.T) {
	_, js := start(t)
	limit := int(js.Conn().MaxPayload())
	for name, m := range map[string]*nats.Msg{
		"payload": {Subject: subject, Data: bytes.Repeat([]byte("x"), limit)},
		"header":  {Subject: subject, Data: []byte("payload"), Header: nats.Header{"X": {strings.Repeat("x", 65400)}}},
		"both":    {Subject: subject, Data: bytes.Repeat([]byte("x"), limit-65500), Header: nats.Header{"X": {strings.Repeat("x", 65400)}}},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(parked(t, js))
			if _, err := js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			run(t, consumer.Config{JetStream: js, Handler: consumer.HandlerFunc(newHanded(func(*consumer.Message) error {
				return consumer.Park(errors.New("what is this"))
			}).Handle)})
			settled(t, js, stream.Events, "test")
			all := parked(t, js)[before:]
			if len(all) != 1 {
				t.Fatalf("%d are parked", len(all))
			}
			p := all[0]
			if p.Header.Get(consumer.HeaderParkedReason) != "what is this" || p.Header.Get("X") != "" {
				t.Errorf("headers are %.2000q", p.Header)
			}
			if rest := len(m.Data) - len(p.Data); p.Header.Get(consumer.HeaderParkedCut) != fmt.Sprint(rest) || rest > 8<<10 || !bytes.HasPrefix(m.Data, p.Data) {
				t.Errorf("%d bytes of %d are parked", len(p.Data), len(m.Data))
			}
		})
	}
}

// On a small server there is hardly room for the headers, and the stream of parked
// messages may take less than others do.
func TestParkedFits(t *testing.T) {
	for name, c := range map[string]struct{ payload, stream int32 }{
		"a small server": {
			payload: 4 << 10,
			stream:  -1,
		}, "a server of 32 KB": {
			payload: 32 << 10,
			stream:  -1,
		}, "a small stream": {
			payload: 1 << 20,
			stream:  16 << 10,
		}, "a very small stream": {
			payload: 1 << 20,
			stream:  2 << 10,
		},
	} {
		t.Run(name, func(t *testing.T) {
			js := streamtest.Start(t, func(o *server.Options) { o.MaxPayload = c.payload }).JetStream()
			config := stream.ParkedConfig(stream.DefaultLimits())
			config.MaxMsgSize = c.stream
			for _, config := range []jetstream.StreamConfig{config, stream.EventsConfig(stream.Limits{Replicas: 1, EventBytes: 64 << 20}, 0)} {
				if _, err := js.CreateStream(t.Context(), config); err != nil {
					t.Fatal(err)
				}
			}
			data := bytes.Repeat([]byte("x"), int(c.payload)-10)
			if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: data}); err != nil {
				t.Fatal(err)
			}
			if err := consumer.ParkMessage(t.Context(), js, stream.Events, "test", fetch(t, js), errors.New("what is this")); err != nil {
				t.Fatal(err)
			}
			all := parked(t, js)
			if len(all) != 1 || all[0].Header.Get(consumer.HeaderParkedReason) != "what is this" ||
				all[0].Header.Get(consumer.HeaderParkedCut) != fmt.Sprint(len(data)-len(all[0].Data)) {
				t.Errorf("parked are %+v", all)
			}
		})
	}
}

// A stream that is made again has the same numbers for other messages: the first one of
// each is parked.
func TestParkedOfAStreamMadeAgain(t *testing.T) {
	_, js := start(t)
	h := newHanded(func(*consumer.Message) error { return consumer.Park(errors.New("bad")) })
	run(t, consumer.Config{JetStream: js, Handler: h})
	publish(t, js, "first")
	fleettest.Until(t, "the first is parked", func() bool { return len(parked(t, js)) == 1 })
	if err := js.DeleteStream(t.Context(), stream.Events); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	publish(t, js, "second")
	fleettest.Until(t, "the second is parked", func() bool { return len(parked(t, js)) == 2 })
}
