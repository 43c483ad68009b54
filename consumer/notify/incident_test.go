package notify_test

import (
	"testing"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/schema"
)

// TestTimes: nothing is in the future of who reads it, ends come after beginnings,
// and lengths are what they were.
func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	const open = time.Duration(-1 << 62)
	for name, tc := range map[string]struct {
		opened, closed time.Duration // from now
		began, over    time.Duration
	}{
		"open":                    {-time.Hour, open, -time.Hour, open},
		"open in the future":      {time.Hour, open, 0, open},
		"closed":                  {-time.Hour, -time.Minute, -time.Hour, -time.Minute},
		"closed now":              {-time.Hour, 0, -time.Hour, 0},
		"closed in the future":    {-time.Minute, 2 * time.Minute, -3 * time.Minute, 0},
		"all in the future":       {time.Hour, time.Hour + 3*time.Minute, -3 * time.Minute, 0},
		"closed before it opened": {-time.Minute, -time.Hour, -time.Minute, -time.Minute},
		"the same, in the future": {time.Hour, -time.Hour, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			typ := schema.TypeAlertFiring
			if tc.closed != open {
				typ = schema.TypeAlertResolved
			}
			n := notifytest.Notification(typ, "a/1", 1, func(a *schema.Notification) {
				a.Opened, a.Closed = schema.Time{Time: at(tc.opened)}, nil
				if tc.closed != open {
					a.Closed = &schema.Time{Time: at(tc.closed)}
				}
			})
			began, over := notify.Incidents([]*schema.CloudEvent[*schema.Notification]{n})[0].Times(now)
			want := at(tc.over)
			if tc.over == open {
				want = time.Time{}
			}
			if !began.Equal(at(tc.began)) || !over.Equal(want) {
				t.Errorf("%s to %s; want %s to %s", began, over, at(tc.began), want)
			}
		})
	}
}
