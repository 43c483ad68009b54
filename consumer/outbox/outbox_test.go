package outbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/alerts"
	"supernats/consumer/fleettest"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/logtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// fleet is a server with the stream of alerts.
type fleet struct{ *fleettest.Fleet }

func newFleet(t *testing.T) *fleet { return &fleet{fleettest.New(t)} }

// open opens an outbox, or a new one if it is nil.
func (f *fleet) open(o *Outbox) *Outbox {
	f.Helper()
	if o == nil {
		o = New(zerolog.Nop())
	}
	s, err := f.JS.Stream(f.Context(), stream.Alerts)
	if err != nil {
		f.Fatal(err)
	}
	o.Use(f.JS)
	if err := o.Open(f.Context(), s.CachedInfo()); err != nil {
		f.Fatal(err)
	}
	return o
}

// flush publishes notifications, and returns their sequences by their ids.
func (f *fleet) flush(o *Outbox, now time.Time, notes ...alerts.Notification) map[string]uint64 {
	f.Helper()
	ids := map[*schema.Notification]string{}
	o.Add(notes)
	for _, n := range o.pending {
		ids[n.Alert] = n.ID
	}
	sequences := map[string]uint64{}
	err := o.Flush(f.Context(), now, func(a *schema.Notification, seq uint64) { sequences[ids[a]] = seq })
	if err != nil {
		f.Fatal(err)
	}
	return sequences
}

// own counts the notifications of the stream that are ours, by their ids.
func (f *fleet) own() map[string]int {
	f.Helper()
	s, err := OpenSigner(f.Context(), f.JS, nil)
	if err != nil {
		f.Fatal(err)
	}
	n := map[string]int{}
	for _, m := range f.Messages(stream.Alerts) {
		if s.IsOurs(m) {
			n[m.Header.Get(HeaderID)]++
		}
	}
	return n
}

// crash is a notification that follows from a message of the stream of events.
func crash(id string, at time.Time, seq uint64, change ...func(*schema.Notification)) alerts.Notification {
	incident := id[:len(id)-2]
	a := &schema.Notification{Incident: incident, Rule: "r", Severity: "critical", Host: "h", Process: "p", Count: 1}
	a.Events = []schema.AlertEvent{{ID: "h/b/1", Seq: seq, Event: "PROCESS_STATE_EXITED"}}
	for _, c := range change {
		c(a)
	}
	return alerts.Notification{ID: id, Type: schema.TypeAlertFiring, At: at, Seq: seq, Alert: a}
}

func TestFlush(t *testing.T) {
	f := newFleet(t)
	o := f.open(nil)
	o.SetLineage(source.Lineage{Base: 5000})
	now := time.Now()
	got := f.flush(o, now, crash("a/1", now, 5007), crash("b/1", now, 4000))
	if d := cmp.Diff(map[string]uint64{"a/1": 1, "b/1": 2}, got); d != "" {
		t.Error(d)
	}
	for i, want := range []uint64{7, 0} { // positions of an earlier stream have no sequence
		n, err := schema.Unmarshal[*schema.Notification](f.Messages(stream.Alerts)[i].Data)
		if err != nil || n.Data.Events[0].Seq != want {
			t.Errorf("%+v, %v", n.Data.Events[0], err)
		}
	}
	if got := f.flush(o, now); len(got) != 0 {
		t.Errorf("published again: %v", got)
	}
}

// A quiet repetition is logged for those who look for it only; who has acknowledged an alert
// always is.
func TestQuietUpdatesAreNotLogged(t *testing.T) {
	f := newFleet(t)
	now := time.Now()
	quiet := func(a *schema.Notification) { a.Quiet = true }
	update, ack := crash("a/2", now, 7, quiet), crash("a/3", now, 7, quiet)
	update.Type, ack.Type = schema.TypeAlertUpdate, schema.TypeAlertAcknowledged
	for _, c := range []struct {
		level zerolog.Level
		want  int
	}{{zerolog.InfoLevel, 2}, {zerolog.DebugLevel, 3}} {
		var log logtest.Buffer
		f.flush(f.open(New(zerolog.New(&log).Level(c.level))), now, crash("a/1", now, 7), update, ack)
		if n := strings.Count(log.String(), `"message":"alert"`); n != c.want {
			t.Errorf("%v: %d lines, want %d:\n%s", c.level, n, c.want, log.String())
		}
	}
}

// The daemon was killed after it had published, before the records were stored.
func TestOwnIDsAreKnownAgain(t *testing.T) {
	f := newFleet(t)
	now := time.Now()
	first := f.flush(f.open(nil), now, crash("a/1", now, 7))
	withAddress := func(a *schema.Notification) {
		a.Labels = map[string]string{"address": "192.0.2.7"} // its host has reported it since
	}
	second := f.flush(f.open(nil), now, crash("a/1", now, 7, withAddress))
	if d := cmp.Diff(first, second); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]int{"a/1": 1}, f.own()); d != "" {
		t.Error(d)
	}
}

// The same long after that, when the stream has forgotten the id.
func TestOldNotificationIsFound(t *testing.T) {
	f := newFleet(t)
	now := time.Now()
	later := now.Add(2 * stream.DuplicateWindow)
	f.flush(f.open(nil), now, crash("a/2", now, 7))
	for _, tc := range []struct {
		name string
		n    alerts.Notification
		want map[string]uint64
	}{
		{name: "the same", n: crash("a/2", now, 7), want: map[string]uint64{"a/2": 1}},
		{name: "an earlier one of the alert", n: crash("a/1", now, 7), want: map[string]uint64{"a/1": 1}},
		{name: "one of an earlier message", n: crash("z/1", now, 6), want: map[string]uint64{"z/1": 1}},
		{name: "a later one of the alert", n: crash("a/3", now, 7), want: map[string]uint64{"a/3": 2}},
		{name: "one of a later message", n: crash("b/1", now, 8), want: map[string]uint64{"b/1": 3}},
	} {
		if d := cmp.Diff(tc.want, f.flush(f.open(nil), later, tc.n)); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}

// The bucket with the key of signatures is lost after something was published and before
// that was stored: nobody is notified twice.
func TestLostKeyDoublesNothing(t *testing.T) {
	for name, lose := range map[string]func(f *fleet) error{
		"the bucket": func(f *fleet) error {
			if err := f.JS.DeleteStream(t.Context(), stream.OfBucket(stream.LeasesBucket)); err != nil {
				return err
			}
			return stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits())
		},
		"another key": func(f *fleet) error {
			_, err := f.Bucket(stream.LeasesBucket).Put(t.Context(), SignatureKey, []byte("another"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			now := time.Now()
			var o *Outbox
			for range 2 {
				o = f.open(o)
				f.flush(o, now, crash("a/1", now, 7))
				if err := lose(f); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(f.Messages(stream.Alerts)); n != 1 {
				t.Errorf("%d notifications are stored", n)
			}
		})
	}
}

// The numbers of messages begin low again where all buckets were lost: what was notified
// before that with higher ones hides nothing that happened after it.
func TestHigherNumbersOfBeforeHideNothing(t *testing.T) {
	f := newFleet(t)
	now := time.Now()
	o := f.open(nil)
	f.flush(o, now, crash("a/1", now, 5000))
	f.flush(o, now.Add(time.Hour), crash("b/1", now.Add(30*time.Minute), 3))
	if d := cmp.Diff(map[string]int{"a/1": 1, "b/1": 1}, f.own()); d != "" {
		t.Error(d)
	}
}

// Whoever has used our message ids hides no notification, however many of them.
func TestForgedIDs(t *testing.T) {
	for forged := range maxForged + 3 {
		t.Run(fmt.Sprint(forged), func(t *testing.T) {
			f := newFleet(t)
			id := "a/1"
			for seq := range forged {
				m := &nats.Msg{Subject: "supervisor.alert.x", Header: nats.Header{}}
				if _, err := f.JS.PublishMsg(t.Context(), m, jetstream.WithMsgID(id)); err != nil {
					t.Fatal(err)
				}
				id = fmt.Sprintf("a/1~%d", seq+1)
			}
			now := time.Now()
			got := f.flush(f.open(nil), now, crash("a/1", now, 7))
			if d := cmp.Diff(map[string]uint64{"a/1": uint64(forged + 1)}, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(map[string]int{"a/1": 1}, f.own()); d != "" {
				t.Error(d)
			}
		})
	}
}

// The server is replaced by one with smaller messages while the outbox is open.
func TestSmallerServer(t *testing.T) {
	s := streamtest.Start(t)
	f := &fleet{fleettest.On(t, s, s.JetStream())}
	config := stream.AlertsConfig(stream.DefaultLimits())
	if _, err := f.JS.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	o := f.open(nil)
	config.MaxMsgSize = 8 << 10
	if _, err := f.JS.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}

	now := time.Now()
	many := func(a *schema.Notification) {
		for i := range 100 {
			a.Events = append(a.Events, schema.AlertEvent{ID: fmt.Sprint("h/b/", i+2), Event: "PROCESS_STATE_EXITED"})
		}
	}
	f.flush(o, now, crash("a/1", now, 7, many))
	listed := map[string]int{}
	for _, m := range f.Messages(stream.Alerts) {
		if len(m.Data) > 8<<10 {
			t.Errorf("a message of %d bytes", len(m.Data))
		}
		n, err := schema.Unmarshal[*schema.Notification](m.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range n.Data.Events {
			listed[e.ID]++
		}
	}
	if len(listed) != 101 {
		t.Errorf("%d of 101 crashes are listed", len(listed))
	}
}
