package intake

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/stream"
)

// tries has every stream and bucket tried, as the daemon and `supernats doctor` do. What
// was written just now needs no try.
func (f *fleet) tries() {
	f.Helper()
	time.Sleep(2100 * time.Millisecond)
	if err := stream.TryWrites(f.Context(), f.JS); err != nil {
		f.Fatal(err)
	}
}

// A host may have any name: to try whether a bucket stores what it gets changes no record.
func TestTriesTouchNoRecord(t *testing.T) {
	f := newFleet(t)
	f.read()
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateRunning, onHost("write-test")), f.Event(schema.ProcessStateRunning, onHost("write=test"))))
	before := f.Host("write-test")
	f.tries()
	if h := f.Host("write-test"); h.Seq != before.Seq {
		t.Errorf("%+v, before %+v", h, before)
	}
	if keys := f.Keys(stream.HostsBucket); len(keys) != 2 {
		t.Errorf("%q", keys)
	}
}

// What a try leaves in a bucket does not hide that everything else is gone from it.
func TestEmptiedBucketsAreNoticedDespiteTries(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateRunning)))
	stop()
	mute := schema.Mute{ID: "m1", Hosts: []string{"web9"}, Expires: schema.Time{Time: time.Now().Add(time.Hour)}}
	if _, err := f.Bucket(stream.MutesBucket).Create(t.Context(), "m1", []byte(f.JSON(mute)), jetstream.KeyTTL(time.Hour)); err != nil {
		t.Fatal(err)
	}

	reader := f.reader()
	if err := reader.restore(t.Context(), &source.Events{}); err != nil {
		t.Fatal(err)
	}
	defer reader.silences.Stop()
	f.tries()
	looks := map[string]func() (bool, error){
		stream.StateBucket: func() (bool, error) { return reader.store.states.IsOther(t.Context()) },
		stream.HostsBucket: func() (bool, error) { return reader.store.hosts.IsOther(t.Context()) },
		stream.MutesBucket: func() (bool, error) { return reader.silences.IsOther(t.Context(), f.JS) },
	}
	for name, isOther := range looks {
		if other, err := isOther(); err != nil || other {
			t.Errorf("%s, as it was: %t, %v", name, other, err)
		}
		s, err := f.JS.Stream(t.Context(), "KV_"+name)
		if err == nil {
			err = s.Purge(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f.tries()
	for name, isOther := range looks {
		if other, err := isOther(); err != nil || !other {
			t.Errorf("%s, emptied: %t, %v", name, other, err)
		}
	}
}
