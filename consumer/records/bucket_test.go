package records

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// start runs a server with all streams and buckets.
func start(t *testing.T) jetstream.JetStream {
	t.Helper()
	js := streamtest.Start(t).JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	return js
}

// open opens the bucket of states, and returns how to write the record of web1's
// api:api_00 in it.
func open(t *testing.T, js jetstream.JetStream) (b *Bucket[schema.ProcessRecord], write func(*schema.ProcessRecord)) {
	t.Helper()
	b, _, err := Open[schema.ProcessRecord](t.Context(), js, stream.StateBucket, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return b, func(v *schema.ProcessRecord) {
		t.Helper()
		if err := b.Write(t.Context(), []Record[schema.ProcessRecord]{{"web1.api.api_00", v}}); err != nil {
			t.Fatal(err)
		}
	}
}

// starts is how often the record of web1's api:api_00 says that the process was started.
func starts(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	e, err := bucket(t, js).Get(t.Context(), "web1.api.api_00")
	if err != nil {
		t.Fatal(err)
	}
	var p schema.ProcessRecord
	if err := json.Unmarshal(e.Value(), &p); err != nil {
		t.Fatal(err)
	}
	return p.Starts
}

func bucket(t *testing.T, js jetstream.JetStream) jetstream.KeyValue {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), stream.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// messages is how many messages the stream of the bucket holds.
func messages(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), "KV_"+stream.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// A key whose revision nobody remembers, since it was deleted, is written again.
func TestForgottenRevisions(t *testing.T) {
	js := start(t)
	b, write := open(t, js)
	write(&schema.ProcessRecord{Starts: 1})
	write(nil)
	if len(b.revisions) != 0 {
		t.Errorf("a deleted key takes memory: %v", b.revisions)
	}
	write(&schema.ProcessRecord{Starts: 2})
	write(nil)
	write(nil)
	write(&schema.ProcessRecord{Starts: 3})
	if n := starts(t, js); n != 3 {
		t.Errorf("%d starts", n)
	}
	write(nil)
	if _, err := bucket(t, js).Put(t.Context(), "web1.api.api_00", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := b.Write(t.Context(), []Record[schema.ProcessRecord]{{"web1.api.api_00", &schema.ProcessRecord{}}}); err == nil {
		t.Error("what somebody else has written was overwritten")
	}
}

// A record is deleted with its history: when the marker of a deletion expires, the record
// before it would be there again.
func TestDeletedRecordsHaveNoHistory(t *testing.T) {
	js := start(t)
	_, write := open(t, js)
	for _, v := range []*schema.ProcessRecord{{Starts: 1}, {Starts: 2}, nil} {
		write(v)
	}
	if n := messages(t, js); n != 1 {
		t.Errorf("%d messages are left of a deleted record: want its marker", n)
	}

	// Also by a daemon that does not remember the revision.
	_, write = open(t, js)
	for _, v := range []*schema.ProcessRecord{{Starts: 3}, nil, nil} {
		write(v)
	}
	if n := messages(t, js); n != 1 {
		t.Errorf("%d messages are left of a record that was deleted again", n)
	}
}

// A record for which there is no room at all holds up no other.
func TestRecordThatDoesNotFit(t *testing.T) {
	js := start(t)
	b, _ := open(t, js)
	b.limit = 1000
	long := &schema.ProcessRecord{Host: "web1", Group: "api", Process: fmt.Sprintf("%01000d", 7)}
	if err := b.Write(t.Context(), []Record[schema.ProcessRecord]{{"web1.api.long", long}, {"web1.api.api_00", &schema.ProcessRecord{Starts: 7}}}); err != nil {
		t.Fatal(err)
	}
	if n := starts(t, js); n != 7 {
		t.Errorf("%d starts", n)
	}
}

// The marker of a deleted key expires where that is possible.
func TestMarkersExpire(t *testing.T) {
	js := start(t)
	// One of an earlier version lets nothing expire.
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "lasting"}); err != nil {
		t.Fatal(err)
	}
	for bucket, want := range map[string]string{"lasting": "", stream.AlertsBucket: markerTTL} {
		b, _, err := Open[schema.Alert](t.Context(), js, bucket, nil, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, v := range []*schema.Alert{{}, nil} {
				if err := b.Write(t.Context(), []Record[schema.Alert]{{"a.b.c.d", v}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		s, err := js.Stream(t.Context(), stream.OfBucket(bucket))
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.GetLastMsgForSubject(t.Context(), "$KV."+bucket+".a.b.c.d")
		if err != nil || m.Header.Get("KV-Operation") != "PURGE" || (m.Header.Get(jetstream.MsgTTLHeader) != "") != (want != "") {
			t.Errorf("%s: %v, %v", bucket, m, err)
		}
	}
}
