package stream_test

import (
	"encoding/json"
	"testing"
	"time"

	"supernats/schema"
	"supernats/schema/stream"
)

// Other versions of `supernats` read the record of a queue, and write it: its keys stay.
func TestKeysOfPosition(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 0, 31, 0, time.UTC)
	since := schema.Time{Time: at}
	for _, tc := range []struct {
		name     string
		position stream.Position
		want     string
	}{
		{
			name:     "of a new queue",
			position: stream.Position{Receiver: "chat", Stream: at},
			want:     `{"receiver":"chat","stream":"2026-11-21T19:00:31Z","done":0}`,
		},
		{
			name: "with everything",
			position: stream.Position{
				Receiver: "chat", Stream: at, Done: 7, Stored: at, Batch: 9, Alone: 8, Ahead: []uint64{8}, Begin: 1, Unmade: true,
				LateTimes: stream.LateTimes{Late: []stream.LateBatch{{From: 3, To: 4, At: since}}, Forgot: 2},
				Failures:  stream.Failures{Error: "404", Tries: 2, Since: &since, Tried: &since, Trying: 9},
			},
			want: `{"receiver":"chat","stream":"2026-11-21T19:00:31Z","done":7,"stored":"2026-11-21T19:00:31Z","batch":9,"alone":8,"ahead":[8],"begin":1,"unmade":true,` +
				`"late":[{"from":3,"to":4,"at":"2026-11-21T19:00:31.000000Z"}],"forgot":2,` +
				`"error":"404","tries":2,"since":"2026-11-21T19:00:31.000000Z","tried":"2026-11-21T19:00:31.000000Z","trying":9}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := json.Marshal(tc.position)
			if err != nil || string(got) != tc.want {
				t.Errorf("got %s (%v)\nwant %s", got, err, tc.want)
			}
		})
	}
}
