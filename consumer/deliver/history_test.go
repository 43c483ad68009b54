package deliver

import (
	"testing"
	"time"

	"supernats/schema"
)

// What has waited for its receiver until it was over says so; what is not over, what is
// news, and what is ended in the same batch do not.
func TestMarkOver(t *testing.T) {
	f := newFleet(t)
	at := time.Now().Add(-time.Hour)
	closed := schema.Time{Time: at.Add(30 * time.Second).UTC().Truncate(time.Microsecond)}
	note := func(process, typ string, when time.Time) *schema.CloudEvent[*schema.Notification] {
		a := &schema.Notification{Incident: "a/" + process, Rule: "unexpected-exit", Host: "web1", Group: "api", Process: process, Opened: schema.Time{Time: at}}
		if typ == schema.TypeAlertResolved {
			a.Closed = &closed
		}
		return a.Envelope("a/"+process+"/"+typ, typ, when)
	}
	for _, process := range []string{"over", "news", "here"} {
		n := note(process, schema.TypeAlertResolved, at.Add(time.Minute))
		f.PublishRaw(n.Data.Subject(), f.JSON(n))
	}
	list := []*schema.CloudEvent[*schema.Notification]{
		note("over", schema.TypeAlertFiring, at), note("open", schema.TypeAlertFiring, at), note("news", schema.TypeAlertFiring, time.Now()),
		note("here", schema.TypeAlertFiring, at), note("here", schema.TypeAlertResolved, at.Add(time.Minute)),
	}
	history{f.JS}.markOver(t.Context(), list)
	for i, n := range list {
		if since := n.Data.WellSince; (since != nil) != (i == 0) || i == 0 && !since.Equal(closed.Time) {
			t.Errorf("%s %s: %v", n.Data.Process, n.Type, since)
		}
	}
}
