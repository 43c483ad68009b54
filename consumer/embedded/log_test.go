package embedded

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// What repeats is one line, of warnings and of errors.
func TestLogOfTheServer(t *testing.T) {
	var log bytes.Buffer
	l := &natsLog{log: zerolog.New(&log).Level(zerolog.InfoLevel)}
	for i := range 3 {
		l.Errorf("JetStream failed to store message %d: no space left on device", i)
		l.Warnf("slow consumer")
	}
	for _, text := range []string{"no space left on device", "slow consumer"} {
		if n := strings.Count(log.String(), text); n != 1 {
			t.Errorf("%q is logged %d times:\n%s", text, n, log.String())
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines in\n%s", n, log.String())
	}
}

// A flood is no flood of the log.
func TestLogOfAFlood(t *testing.T) {
	var log bytes.Buffer
	l := &natsLog{log: zerolog.New(&log)}
	for i := range 1000 {
		l.Errorf("%d - maximum connections exceeded", i)
	}
	l.Errorf("something else")
	if n := strings.Count(log.String(), "\n"); n != logBurst+1 || !strings.Contains(log.String(), "something else") {
		t.Errorf("%d lines", n)
	}

	l.kinds["%d - maximum connections exceeded"].since = time.Now().Add(-2 * logPeriod)
	l.Errorf("%d - maximum connections exceeded", 1)
	if !strings.Contains(log.String(), `"lines":990`) {
		t.Errorf("what was not logged is not counted:\n%s", log.String())
	}
}
