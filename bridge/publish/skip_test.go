package publish

import (
	"testing"

	"github.com/nats-io/nats.go"

	"supernats/schema/stream/streamtest"
)

// A record without messages counts as stored: the first ones, those between others
// and the last ones.
func TestNoMessages(t *testing.T) {
	s := streamtest.Start(t)
	js := s.JetStream()
	makeStream(t, js)
	const n = 100
	src := numbered(n)
	src.encode = func(rec []byte, most int) ([]*nats.Msg, error) {
		if len(rec) == 2 && rec[0] == '5' {
			return encodeText(rec, most)
		}
		return nil, nil
	}
	start(t, s.URL, src)
	src.waitAcked(t, n)
	msgs := stored(t, js)
	if len(msgs) != 10 || string(msgs[0].Data()) != "50" || string(msgs[9].Data()) != "59" {
		t.Errorf("%d messages are stored", len(msgs))
	}
}
