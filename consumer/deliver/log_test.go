package deliver

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
)

// A receiver that fails for long is one line, and its end another one that says how often
// it failed.
func TestFailureOfAReceiverIsLoggedOnce(t *testing.T) {
	f := newFleet(t)
	var log fleettest.Buffer
	tries := 0
	r := &receiver{name: "mail/ops@example.com"}
	r.answer = func(context.Context, batch) error {
		tries++
		return fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:25: connection reset", 40000+tries)
	}
	f.deliver(r, func(d *Delivery) {
		d.log = zerolog.New(&log).With().Str("receiver", r.name).Logger()
	})
	f.alert("a", "b")
	f.Until("it is tried", func() bool { return len(r.tried()) > 20 })
	r.says(always(errors.New("certificate has expired"))) // another error is another line
	f.Until("it is tried again", func() bool { return len(r.tried()) > 40 })
	r.says(nil)
	f.delivered(r)
	f.Until("it is logged", func() bool { return strings.Contains(log.String(), `"failed_before"`) })

	fleettest.WellWritten(t, log.String())
	for _, want := range []string{"connection reset", "certificate has expired"} {
		if n := strings.Count(strings.Join(fleettest.Warnings(log.String()), ""), want); n != 1 {
			t.Errorf("%d lines about %q in\n%s", n, want, log.String())
		}
	}
	if !regexp.MustCompile(`"failed_before":\d\d.*"lasted_ms":[\d.]+.*"message":"notified"`).MatchString(log.String()) {
		t.Errorf("the end is not in\n%s", log.String())
	}
}
