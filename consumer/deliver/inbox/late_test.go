package inbox

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
	"supernats/schema/stream"
)

// A batch is one entry but for what is between that was not late; only the last entries
// are kept, and it is known which are not.
func TestLateIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	b := &Inbox{}
	long, just := now.Add(-time.Hour), now.Add(-LateAfter/2)
	b.Took(now, Taken{1, long}, Taken{2, long}, Taken{3, just}, Taken{5, long}, Taken{9, long})
	want := []stream.LateBatch{{From: 1, To: 2, At: schema.Time{Time: now}}, {From: 5, To: 9, At: schema.Time{Time: now}}}
	if d := cmp.Diff(want, b.at.Late); d != "" {
		t.Error(d)
	}
	for i := range 3 * maxTimes {
		b.Took(now.Add(time.Duration(i+1)*time.Minute), Taken{uint64(10 + i), long})
	}
	if n, first := len(b.at.Late), b.at.Late[0].From; n != maxTimes || b.at.Forgot != first-1 {
		t.Errorf("%d are kept from %d on, forgotten up to %d", n, first, b.at.Forgot)
	}
}
