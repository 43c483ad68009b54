package app

import (
	"testing"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/schema/stream"
)

// The active instance writes down to whom it delivers: by that people see that a
// receiver is in use, and that there is none.
func TestRoster(t *testing.T) {
	f := fleettest.New(t)
	cfg := config.Default()
	cfg.Listen, cfg.NATS.URL = "", f.Server.URL
	for _, receivers := range [][]config.Receiver{brokenReceivers(t)[:2], nil} {
		cfg.Receivers = receivers
		d := runDaemon(t, cfg)
		f.Until("they are written down", func() bool {
			e, err := f.Bucket(stream.LeasesBucket).Get(t.Context(), stream.RosterKey)
			if err != nil {
				return false
			}
			var r stream.RosterRecord
			f.Unmarshal(e.Value(), &r)
			return len(r.Receivers) == len(receivers) && (len(receivers) == 0 || r.Receivers[0] == receivers[0].Name)
		})
		d.Stop()
	}
}
