package app

import (
	"cmp"
	"context"
	"testing"

	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/schema"
	"supernats/schema/stream"
)

// The record of an alert says where its notifications are, also if the daemon was
// killed before it was written: the stream knows the notification, and its sequence.
func TestRecordKnowsItsNotification(t *testing.T) {
	f := newFleet(t)
	record := func() (a schema.Alert) {
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

// The active instance writes down to whom it delivers: by that people see that a
// receiver is in use, and that there is none.
func TestRoster(t *testing.T) {
	f := newFleet(t)
	cfg := config.Default()
	cfg.Listen, cfg.NATS.URL = "", f.server.URL
	for _, receivers := range [][]config.Receiver{broken(t)[:2], nil} {
		cfg.Receivers = receivers
		a, err := New(validPlan(t, cfg), Options{Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		stop := f.background(func(ctx context.Context) error { return cmp.Or(a.Run(ctx), ctx.Err()) })
		f.until("they are written down", func() bool {
			e, err := f.bucket(stream.LeasesBucket).Get(t.Context(), stream.RosterKey)
			if err != nil {
				return false
			}
			var r schema.RosterRecord
			f.unjson(e.Value(), &r)
			return len(r.Receivers) == len(receivers) && (len(receivers) == 0 || r.Receivers[0] == receivers[0].Name)
		})
		stop()
	}
}
