package intake

import (
	"testing"

	"supernats/schema"
	"supernats/schema/stream"
)

// The record of an alert says where its notifications are, also if the daemon was
// killed before it was written: the stream knows the notification, and its sequence.
func TestRecordKnowsItsNotification(t *testing.T) {
	f := newFleet(t)
	record := func() (a schema.Alert) {
		e, err := f.Bucket(stream.AlertsBucket).Get(t.Context(), "unexpected-exit.web1.api.api_00")
		if err == nil {
			f.Unmarshal(e.Value(), &a)
		}
		return a
	}
	stop := f.read()
	f.PublishRaw("supervisor.alert.x", "{}") // so that sequences differ from numbers
	f.WaitHandled(f.Publish(f.Crash()))
	f.Until("it is recorded", func() bool { return record().LastSeq == 2 && record().FirstSeq == 2 })
	stop()
	for bucket, key := range map[string]string{
		stream.AlertsBucket: "unexpected-exit.web1.api.api_00", stream.StateBucket: "web1.api.api_00", stream.HostsBucket: "web1",
	} {
		if err := f.Bucket(bucket).Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.JS.DeleteConsumer(t.Context(), stream.Events, stream.EventsConsumer); err != nil {
		t.Fatal(err)
	}
	f.read()
	f.Until("it is recorded again", func() bool { return record().LastSeq == 2 })
	if n := len(f.Messages(stream.Alerts)); n != 2 {
		t.Errorf("%d messages in the stream of notifications", n)
	}
}
