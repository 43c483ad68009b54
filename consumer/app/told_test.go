package app

import (
	"testing"

	"supernats/schema"
	"supernats/schema/stream"
)

// The record of an alert says where its notifications are, also if the daemon was
// killed before it was written: the stream knows the notification, and its sequence.
func TestRecordKnowsItsNotification(t *testing.T) {
	f := newFleet(t)
	record := func() (a schema.OpenAlert) {
		e, err := f.bucket(stream.AlertsBucket).Get(t.Context(), "unexpected-exit.web1.api.api_00")
		if err == nil {
			f.unjson(e.Value(), &a)
		}
		return a
	}
	stop := f.run()
	f.raw("supervisor.alert.x", "{}") // so that sequences differ from numbers
	f.handled(f.publish(f.crash()))
	f.until("it is recorded", func() bool { return record().LastSeq == 2 && record().FirstSeq == 2 })
	stop()
	for bucket, key := range map[string]string{
		stream.AlertsBucket: "unexpected-exit.web1.api.api_00", stream.StateBucket: "web1.api.api_00", stream.HostsBucket: "web1",
	} {
		if err := f.bucket(bucket).Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.js.DeleteConsumer(t.Context(), stream.Events, durableName); err != nil {
		t.Fatal(err)
	}
	f.run()
	f.until("it is recorded again", func() bool { return record().LastSeq == 2 })
	if n := len(f.stored(stream.Alerts)); n != 2 {
		t.Errorf("%d messages in the stream of notifications", n)
	}
}
