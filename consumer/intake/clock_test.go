package intake

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		server := time.Now().Add(time.Hour)
		c.setTime(server)
		if !c.now().Equal(server) {
			t.Errorf("it is %v, want %v", c.now(), server)
		}
		if wait := c.untilReadable(server.Add(time.Second)); wait != time.Second+settled {
			t.Errorf("a second from now is in %v", wait)
		}

		// Messages may be on their way for a while, and not longer.
		for _, after := range []time.Duration{0, maxLate} {
			if err := c.noteMissing(server.Add(after)); err != nil {
				t.Errorf("after %v: %v", after, err)
			}
		}
		if err := c.noteMissing(server.Add(maxLate + 1)); !errors.Is(err, errLate) {
			t.Errorf("after more than that: %v", err)
		}
		c.noteArrived()
		if err := c.noteMissing(server.Add(time.Hour)); err != nil {
			t.Errorf("after they have arrived: %v", err)
		}
	})
}
