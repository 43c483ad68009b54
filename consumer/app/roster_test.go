package app

import (
	"cmp"
	"context"
	"testing"

	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/schema"
	"supernats/schema/stream"
)

// The active instance writes down to whom it delivers: by that people see that a
// receiver is in use, and that there is none.
func TestRoster(t *testing.T) {
	f := fleettest.New(t)
	cfg := config.Default()
	cfg.Listen, cfg.NATS.URL = "", f.Server.URL
	for _, receivers := range [][]config.Receiver{broken(t)[:2], nil} {
		cfg.Receivers = receivers
		a, err := New(validPlan(t, cfg), Options{Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		stop := f.Background(func(ctx context.Context) error { return cmp.Or(a.Run(ctx), ctx.Err()) })
		f.Until("they are written down", func() bool {
			e, err := f.Bucket(stream.LeasesBucket).Get(t.Context(), stream.RosterKey)
			if err != nil {
				return false
			}
			var r schema.RosterRecord
			f.Unmarshal(e.Value(), &r)
			return len(r.Receivers) == len(receivers) && (len(receivers) == 0 || r.Receivers[0] == receivers[0].Name)
		})
		stop()
	}
}
