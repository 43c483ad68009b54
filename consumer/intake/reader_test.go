package intake

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/notify"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/stream"
)

func TestEventsBecomeStatesAndAlerts(t *testing.T) {
	f := newFleet(t)
	odd := func(e *schema.Event) {
		e.Host, e.Group, e.Process = "web1.example.com", "my.app-weird*>é", "my.app-weird*>é"
	}
	b, err := schema.Marshal((&schema.Bridge{Host: "web1.example.com", Boot: "a", Settings: map[string]string{"address": "192.0.2.7"}}).Envelope(schema.BridgeStarted, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	f.PublishRaw("supervisor.bridge.web1=2Eexample=2Ecom.started", string(b))
	f.Publish(f.Event(schema.ProcessStateStarting, odd), f.Event(schema.ProcessStateRunning, odd, func(e *schema.Event) { e.PID = 7 }))
	crash := f.Crash(odd, func(e *schema.Event) {
		e.PID, e.FromState, e.Exit = 7, "RUNNING", &schema.Exit{Signal: "SIGSEGV", Core: true}
		e.Log = &schema.Log{Stderr: "oops\n"}
	})
	seq := f.Publish(crash)
	f.Publish(f.Event(schema.Tick5, func(e *schema.Event) { e.Group, e.Process = "", "" }), f.Event(schema.ProcessLogStdout))
	last := f.PublishRaw("supervisor.snapshot.web1", "whatever")
	f.read()
	f.WaitHandled(last)

	got := f.Process("web1.example.com", "my.app-weird*>é", "my.app-weird*>é")
	if got.State != "EXITED" || got.Starts != 1 || got.UnexpectedExits != 1 || got.Exit.Signal != "SIGSEGV" || got.Seq != seq || got.PID != 0 {
		t.Errorf("state is %+v", got)
	}
	keys, err := f.Bucket(stream.StateBucket).Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"web1=2Eexample=2Ecom.my=2Eapp-weird=2A=3E=C3=A9.my=2Eapp-weird=2A=3E=C3=A9"}, keys); d != "" {
		t.Error(d)
	}
	all := f.Messages(stream.Alerts)
	if len(all) != 1 {
		t.Fatalf("%d alerts", len(all))
	}
	m := all[0]
	if want := "supervisor.alert.web1=2Eexample=2Ecom.my=2Eapp-weird=2A=3E=C3=A9.my=2Eapp-weird=2A=3E=C3=A9.unexpected-exit"; m.Subject != want {
		t.Errorf("alert on %s", m.Subject)
	}
	id := crash.Envelope(time.Now()).ID
	if m.Header.Get(nats.MsgIdHdr) != "unexpected-exit/"+id+"/1" || m.Header.Get("Content-Type") != schema.ContentType {
		t.Errorf("headers are %v", m.Header)
	}
	ce, err := schema.Unmarshal[*schema.Notification](m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if ce.ID != m.Header.Get(nats.MsgIdHdr) || ce.Type != schema.TypeAlertFiring || ce.Data.Labels[notify.LabelAddress] != "192.0.2.7" ||
		ce.Data.Events[0].ID != id || ce.Data.Events[0].Seq != seq || ce.Data.Events[0].Log.Stderr != "oops\n" {
		t.Errorf("alert is %s", m.Data)
	}
}

// Whenever it is killed: each crash has one alert, and all counters are right.
func TestEventsOverRestarts(t *testing.T) {
	f := newFleet(t)
	const processes, crashes, runs = 5, 30, 20
	var last uint64
	process := func(i int) func(*schema.Event) {
		return func(e *schema.Event) { e.Process = fmt.Sprintf("api_%02d", i) }
	}
	restart := func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.N(30_000))*time.Microsecond)
		defer cancel()
		_ = run(ctx, f.reader(), func() {})
	}
	published := make(chan bool)
	go func() {
		defer close(published)
		for range crashes {
			for i := range processes {
				last = f.Publish(f.Event(schema.ProcessStateStarting, process(i)), f.Event(schema.ProcessStateRunning, process(i)), f.Crash(process(i)))
			}
		}
	}()
	for range runs {
		restart()
	}
	<-published
	f.read()
	f.WaitHandled(last)
	n := f.WaitNotified(processes * crashes)
	if len(n) != processes*crashes {
		t.Errorf("%d crashes have an alert, not %d", len(n), processes*crashes)
	}
	for id, n := range n {
		if n != 1 {
			t.Errorf("%s has %d alerts", id, n)
		}
	}
	for i := range processes {
		s := f.Process("web1", "api", fmt.Sprintf("api_%02d", i))
		if s.Starts != crashes || s.Exits != crashes || s.UnexpectedExits != crashes || s.State != "EXITED" {
			t.Errorf("state is %+v", s)
		}
	}
}

func TestServerRestart(t *testing.T) {
	f := newFleet(t)
	f.read()
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateStarting), f.Crash()))
	f.Server.Stop()
	f.Server.Restart()
	var ack *jetstream.PubAck
	f.Until("the server takes messages", func() (ok bool) {
		var err error
		ack, err = f.JS.Publish(t.Context(), "supervisor.event.web1.-.-.other.x", []byte("garbage"))
		return err == nil
	})
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateStarting), f.Crash()))
	if n := f.WaitNotified(2); len(n) != 2 || ack == nil {
		t.Errorf("alerts: %v", n)
	}
	if s := f.Process("web1", "api", "api_00"); s.Starts != 2 || s.Exits != 2 {
		t.Errorf("state is %+v", s)
	}
}

func TestGarbageIsParkedAndHoldsUpNothing(t *testing.T) {
	f := newFleet(t)
	bad := [][2]string{
		{"supervisor.event.web1.api.api_00.process_state.exited", "no JSON \x00\xff"},
		{"supervisor.event.web1.api.api_00.process_state.exited", ""},
		{"supervisor.event.web1.api.api_00.process_state.exited", "null"},
		{"supervisor.event.web1.api.api_00.process_state.exited", `{"specversion":"1.0","id":"x","type":"y","data":{"event":"E"}}`},
		{"supervisor.event.x", "{}"},
		{"supervisor.bridge.web1.started", `{"specversion":"1.0","id":"x","type":"y"}`},
		{"supervisor.bridge.web1.started", "["},
		{"supervisor.bridge.web1.stopping", "["},
		{"supervisor.snapshot.web1", "{}"},
		// A host may only publish on its own subjects, and must not pass for another.
		{"supervisor.event.db1.api.api_00.process_state.exited", f.JSON(f.Crash().Envelope(time.Now()))},
		{"supervisor.bridge.db1.started", f.JSON((&schema.Bridge{Host: "web1"}).Envelope(schema.BridgeStarted, time.Now()))},
		// The answer of a stream, sent there by a host that named it as its inbox.
		{"supervisor.event.db1.api.api_00.process_state.exited", `{"stream":"SUPERVISOR","seq":5}`},
		{"supervisor.event.web1.api.api_00.process_log.stdout", strings.Repeat("x", int(f.JS.Conn().MaxPayload()))},
	}
	for _, m := range bad {
		f.PublishRaw(m[0], m[1])
	}
	last := f.Publish(f.Crash())
	stop := f.read()
	f.WaitHandled(last)
	stop()
	f.read()
	f.WaitHandled(f.Publish(f.Crash()))
	if n := f.WaitNotified(2); len(n) != 2 {
		t.Errorf("alerts: %v", n)
	}
	parked := f.Messages(stream.Parked)
	if len(parked) != len(bad) {
		t.Fatalf("%d are parked", len(parked))
	}
	for i, m := range bad {
		p := parked[i]
		if p.Header.Get(consumer.HeaderParkedSubject) != m[0] || p.Header.Get(consumer.HeaderParkedReason) == "" ||
			p.Subject != "supervisor.parked.supernats" || !strings.HasPrefix(m[1], string(p.Data)) || len(m[1]) < 1e6 && string(p.Data) != m[1] {
			t.Errorf("%s: parked is %.100s with %v", m[0], p.Data, p.Header)
		}
	}
}

func TestDeletedRecordBeginsAgain(t *testing.T) {
	for name, del := range map[string]func(kv jetstream.KeyValue, key string) error{
		"delete": func(kv jetstream.KeyValue, key string) error { return kv.Delete(t.Context(), key) },
		"purge":  func(kv jetstream.KeyValue, key string) error { return kv.Purge(t.Context(), key) },
	} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, running %t", name, running), func(t *testing.T) {
				f := newFleet(t)
				stop := f.read()
				f.WaitHandled(f.Publish(f.Event(schema.ProcessStateStarting), f.Crash()))
				if !running {
					stop()
				}
				if err := del(f.Bucket(stream.StateBucket), "web1.api.api_00"); err != nil {
					t.Fatal(err)
				}
				last := f.Publish(f.Event(schema.ProcessStateStarting))
				if !running {
					f.read()
				}
				f.WaitHandled(last)
				if s := f.Process("web1", "api", "api_00"); s.State != "STARTING" || s.Starts != 1 || s.Exits != 0 {
					t.Errorf("state is %+v", s)
				}
			})
		}
	}
}

func TestAnotherWriterIsNotOverwritten(t *testing.T) {
	f := newFleet(t)
	f.read()
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateStarting)))
	theirs := f.Process("web1", "api", "api_00")
	theirs.Starts = 100
	b, err := schema.Marshal(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Bucket(stream.StateBucket).Put(t.Context(), "web1.api.api_00", b); err != nil {
		t.Fatal(err)
	}
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateStarting), f.Crash()))
	if s := f.Process("web1", "api", "api_00"); s.Starts != 101 || s.UnexpectedExits != 1 || s.State != "EXITED" {
		t.Errorf("state is %+v", s)
	}
	if n := f.Notified(); len(n) != 1 {
		t.Errorf("alerts: %v", n)
	}
}

func TestOldEventIsStateAndNoAlert(t *testing.T) {
	f := newFleet(t)
	f.PublishAt(time.Now().Add(-25*time.Hour), f.Crash())
	f.read()
	f.WaitHandled(f.PublishAt(time.Now().Add(-23*time.Hour), f.Crash(func(e *schema.Event) { e.Process = "api_01" })))
	if s := f.Process("web1", "api", "api_00"); s.UnexpectedExits != 1 {
		t.Errorf("state is %+v", s)
	}
	if n := f.Notified(); len(n) != 1 || n["web1/4f0c6d1e2a90b7c3/2"] != 1 {
		t.Errorf("alerts: %v", n)
	}
}

// The consumer is gone, and everything is read again.
func TestReadAgainFromTheStart(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	var last uint64
	for range 10 {
		last = f.Publish(f.Event(schema.ProcessStateStarting), f.Crash())
	}
	f.WaitHandled(last)
	f.WaitNotified(10)
	stop()
	before := f.Process("web1", "api", "api_00")
	if err := f.JS.DeleteConsumer(t.Context(), stream.Events, stream.EventsConsumer); err != nil {
		t.Fatal(err)
	}
	f.read()
	f.WaitHandled(last)
	if d := cmp.Diff(before, f.Process("web1", "api", "api_00")); d != "" {
		t.Error(d)
	}
	for id, n := range f.Notified() {
		if n != 1 {
			t.Errorf("%s was reported %d times", id, n)
		}
	}
}

// message is one as a source returns it, stored at a time of the test's.
type message struct {
	jetstream.Msg
	subject string
	data    []byte
	seq     uint64
	stored  time.Time
}

func (m message) Subject() string      { return m.subject }
func (m message) Data() []byte         { return m.data }
func (m message) Headers() nats.Header { return nil }
func (m message) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Stream: m.seq}, Timestamp: m.stored, NumDelivered: 1}, nil
}

// list is a source that ends.
type list struct {
	msgs []jetstream.Msg
	done bool
}

func (l *list) Batch(context.Context, time.Duration) ([]source.Received, error) {
	if l.done {
		return nil, context.Canceled
	}
	var batch []source.Received
	for _, raw := range l.msgs {
		m, err := source.Receive(raw, source.Lineage{})
		if err != nil {
			return nil, err
		}
		batch = append(batch, m)
	}
	return batch, nil
}

func (l *list) Done(context.Context) error { l.done = true; return nil }
func (l *list) Close()                     {}
func (l *list) Now(context.Context) (time.Time, bool, error) {
	return time.Now(), false, nil
}

// An event that is read again when the stream has forgotten the notification's
// id is not reported twice; one that never was is reported.
func TestNotificationIsNotDoubledAfterTheWindow(t *testing.T) {
	f := newFleet(t, func(js jetstream.JetStream) {
		c := stream.AlertsConfig(stream.DefaultLimits())
		c.Duplicates = 100 * time.Millisecond
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	})
	stored := time.Now().Add(-2 * stream.DuplicateWindow)
	at := func(seq uint64, e *schema.Event) message {
		b, err := schema.Marshal(e.Envelope(stored))
		if err != nil {
			t.Fatal(err)
		}
		return message{subject: e.Subject(), data: b, seq: seq, stored: stored}
	}
	read := func(msgs ...jetstream.Msg) {
		t.Helper()
		reader := f.reader()
		if err := reader.restore(t.Context(), &source.Events{}); err != nil {
			t.Fatal(err)
		}
		defer reader.silences.Stop()
		src := &list{msgs: msgs}
		if err := reader.follow(t.Context(), src, func() {}); err != context.Canceled || !src.done {
			t.Fatal(err)
		}
	}
	a, b, other := at(1, f.Crash()), at(2, f.Crash()), at(3, f.Crash(func(e *schema.Event) { e.Process = "api_01" }))
	fatal := at(4, f.Event(schema.ProcessStateFatal))
	read(a, b)
	f.forgotten()
	read(a, b, other, fatal) // the daemon was killed before Done
	f.forgotten()
	read(a, b, other, fatal)
	n := map[string]int{}
	for _, m := range f.Messages(stream.Alerts) {
		if id := m.Header.Get(nats.MsgIdHdr); strings.Contains(id, "/") {
			n[id]++
		}
	}
	want := map[string]int{
		"unexpected-exit/web1/4f0c6d1e2a90b7c3/1/1": 1, // the second one waits for its update
		"unexpected-exit/web1/4f0c6d1e2a90b7c3/3/1": 1, "fatal/web1/4f0c6d1e2a90b7c3/4/1": 1,
	}
	if d := cmp.Diff(want, n); d != "" {
		t.Error(d)
	}
}

// forgotten waits until the stream of alerts remembers no id of now.
func (f *fleet) forgotten() {
	f.Helper()
	id := fmt.Sprint(rand.Uint64())
	for range 2 {
		f.Until("an id is forgotten", func() bool {
			ack, err := f.JS.Publish(f.Context(), "supervisor.alert.probe", nil, jetstream.WithMsgID(id))
			return err == nil && !ack.Duplicate
		})
	}
}
