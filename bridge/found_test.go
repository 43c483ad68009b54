package bridge

import (
	"testing"

	"supernats/bridge/eventlistener"
)

// An event that comes before those that it was sent after makes a gap that they close.
func TestEventsOutOfOrderAreNotLost(t *testing.T) {
	for name, tc := range map[string]struct {
		serials []uint64
		lost    uint64
	}{
		"in order":             {[]uint64{1, 2, 3}, 0},
		"the last one first":   {[]uint64{1, 5, 2, 3, 4, 6}, 0},
		"one of them is lost":  {[]uint64{1, 5, 2, 4, 6}, 1},
		"one of them twice":    {[]uint64{1, 5, 2, 2, 4, 6}, 1},
		"an old one once more": {[]uint64{1, 2, 1, 4, 2}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var l losses
			for _, n := range tc.serials {
				l.seen(&eventlistener.Header{Pool: "p", Serial: n, PoolSerial: n})
			}
			var lost uint64
			for _, loss := range l.open {
				lost += loss.Count
			}
			if lost != tc.lost {
				t.Errorf("%d are lost, want %d", lost, tc.lost)
			}
		})
	}
}
