package intake

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/outbox"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/stream"
)

// ownAlerts are the notifications that the daemon itself has published, by their ids.
func (f *fleet) ownAlerts() map[string]int {
	f.Helper()
	s, err := outbox.OpenSigner(f.Context(), f.JS, nil)
	if err != nil {
		f.Fatal(err)
	}
	n := map[string]int{}
	for _, m := range f.Messages(stream.Alerts) {
		if s.IsOurs(m) {
			n[m.Header.Get(outbox.HeaderID)]++
		}
	}
	return n
}

// A host may have a consumer deliver its own message into the stream of alerts, with any
// id. The stream then takes our notification for a duplicate.
func TestForgedIDsHideNoAlert(t *testing.T) {
	const id = "unexpected-exit/web1/4f0c6d1e2a90b7c3/1/1"
	const subject = "supervisor.alert.web1.api.api_00.unexpected-exit"
	at := time.Date(2026, 11, 21, 19, 0, 31, 0, time.UTC)
	lookalike := func() string {
		b, err := schema.Marshal((&schema.Notification{Incident: strings.TrimSuffix(id, "/1"), Rule: "unexpected-exit", Host: "web1", Group: "api", Process: "api_00", Notify: []string{"nobody"}}).Envelope(id, schema.TypeAlertFiring, at))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}()
	for name, forged := range map[string][]*nats.Msg{
		"something":   {{Subject: "supervisor.alert.x", Data: []byte("{}"), Header: nats.Header{nats.MsgIdHdr: {id}}}},
		"a lookalike": {{Subject: subject, Data: []byte(lookalike), Header: nats.Header{nats.MsgIdHdr: {id}, outbox.HeaderID: {id}, outbox.HeaderSeq: {"99"}, outbox.HeaderSignature: {"00"}}}},
		"the next ids too": {
			{Subject: "supervisor.alert.x", Header: nats.Header{nats.MsgIdHdr: {id}}},
			{Subject: "supervisor.alert.x", Header: nats.Header{nats.MsgIdHdr: {id + "~1"}}},
			{Subject: "supervisor.alert.x", Header: nats.Header{nats.MsgIdHdr: {id + "~2"}}},
			{Subject: "supervisor.alert.x", Header: nats.Header{nats.MsgIdHdr: {id + "~3"}}},
			{Subject: "supervisor.alert.x", Header: nats.Header{nats.MsgIdHdr: {id + "~4"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			for _, m := range forged {
				if _, err := f.JS.PublishMsg(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			stop := f.read()
			f.WaitHandled(f.Publish(f.Crash()))
			if n := f.ownAlerts(); n[id] != 1 {
				t.Errorf("stored are %v", n)
			}
			stop()
			if err := f.JS.DeleteConsumer(t.Context(), stream.Events, stream.EventsConsumer); err != nil { // all is read again
				t.Fatal(err)
			}
			f.read()
			f.WaitHandled(f.Publish(f.Crash(func(e *schema.Event) { e.Process = "api_01" })))
			if n := f.ownAlerts(); n[id] != 1 || len(n) != 2 {
				t.Errorf("stored are %v", n)
			}
		})
	}
}

// Nor does a forged message that looks like the last on the subject, when a notification
// is published late.
func TestForgedLastAlert(t *testing.T) {
	f := newFleet(t)
	if _, err := f.JS.PublishMsg(t.Context(), &nats.Msg{
		Subject: "supervisor.alert.web1.api.api_00.unexpected-exit",
		Header:  nats.Header{nats.MsgIdHdr: {"unexpected-exit/web1/4f0c6d1e2a90b7c3/9/9"}, outbox.HeaderSeq: {"18446744073709551615"}},
	}); err != nil {
		t.Fatal(err)
	}
	stored := time.Now().Add(-2 * stream.DuplicateWindow)
	e := f.Crash()
	b, err := schema.Marshal(e.Envelope(stored))
	if err != nil {
		t.Fatal(err)
	}
	reader := f.reader()
	if err := reader.restore(t.Context(), &source.Events{}); err != nil {
		t.Fatal(err)
	}
	defer reader.silences.Stop()
	src := &list{msgs: []jetstream.Msg{message{subject: e.Subject(), data: b, seq: 1, stored: stored}}}
	_ = reader.follow(t.Context(), src, func() {})
	if n := f.ownAlerts(); len(n) != 1 {
		t.Errorf("stored are %v", n)
	}
}
