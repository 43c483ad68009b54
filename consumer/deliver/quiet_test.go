package deliver

import (
	"context"
	"testing"

	"supernats/consumer/notify"
	"supernats/schema"
)

// whose is a receiver on whose side an alert may be over by itself.
type whose struct{ expires bool }

func (whose) Name() string                                         { return "whose" }
func (whose) Notify(context.Context, []*notify.Notification) error { return nil }
func (w whose) Expires() bool                                      { return w.expires }

// Quiet notifications are for receivers alone on whose side an alert would be over without
// them.
func TestQuietNotificationsAreForNoPeople(t *testing.T) {
	for _, c := range []struct {
		name    string
		expires bool
		about   schema.Notification
		want    bool
	}{
		{name: "to people", want: true},
		{name: "quiet", about: schema.Notification{Quiet: true}},
		{name: "quiet, and an alert expires there", expires: true, about: schema.Notification{Quiet: true}, want: true},
		{name: "quiet, and for others", expires: true, about: schema.Notification{Quiet: true, Notify: []string{"mail"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &Delivery{to: Addressee{Receiver: whose{expires: c.expires}, Called: "am"}}
			if got := d.isFor(&c.about); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
		})
	}
}
