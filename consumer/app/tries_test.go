package app

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// tries has every stream and bucket tried, as the daemon and `supernats doctor` do. What
// was written just now needs no try.
func (f *fleet) tries() {
	f.Helper()
	time.Sleep(2100 * time.Millisecond)
	if err := stream.TryWrites(f.Context(), f.js); err != nil {
		f.Fatal(err)
	}
}

// A host may have any name: to try whether a bucket stores what it gets changes no record.
func TestTriesTouchNoRecord(t *testing.T) {
	f := newFleet(t)
	f.run()
	f.handled(f.publish(f.event(schema.ProcessStateRunning, onHost("write-test")), f.event(schema.ProcessStateRunning, onHost("write=test"))))
	before := f.host("write-test")
	f.tries()
	if h := f.host("write-test"); h.Seq != before.Seq {
		t.Errorf("%+v, before %+v", h, before)
	}
	if keys := f.keys(stream.HostsBucket); len(keys) != 2 {
		t.Errorf("%q", keys)
	}
}

// What a try leaves in a bucket does not hide that everything else is gone from it.
func TestEmptiedBucketsAreNoticedBehindTries(t *testing.T) {
	f := newFleet(t)
	stop := f.run()
	f.handled(f.publish(f.event(schema.ProcessStateRunning)))
	stop()
	mute := schema.Mute{ID: "m1", Hosts: []string{"web9"}, Expires: schema.Time{Time: time.Now().Add(time.Hour)}}
	if _, err := f.bucket(stream.MutesBucket).Create(t.Context(), "m1", []byte(f.json(mute)), jetstream.KeyTTL(time.Hour)); err != nil {
		t.Fatal(err)
	}

	v := f.events()
	if err := v.restore(t.Context(), &durableSource{}); err != nil {
		t.Fatal(err)
	}
	defer v.mutes.stop()
	f.tries()
	looks := map[string]func() (bool, error){
		stream.StateBucket: func() (bool, error) { return v.states.IsOther(t.Context()) },
		stream.HostsBucket: func() (bool, error) { return v.hosts.IsOther(t.Context()) },
		stream.MutesBucket: func() (bool, error) { return v.mutes.isOther(t.Context(), f.js) },
	}
	for name, isOther := range looks {
		if other, err := isOther(); err != nil || other {
			t.Errorf("%s, as it was: %t, %v", name, other, err)
		}
		s, err := f.js.Stream(t.Context(), "KV_"+name)
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
