package health

import (
	"time"

	"github.com/rs/zerolog"

	"supernats/schema/repeat"
)

// LogOnce returns the log event of an error: a warning the first time, a debug message
// when it repeats.
func LogOnce(log zerolog.Logger, failing *repeat.Errors, err error) *zerolog.Event {
	if failing.Failed(err) {
		return log.Warn().Err(err)
	}
	return log.Debug().Err(err)
}

// LogRecovered adds to the log event of a success how often it failed before, and for how
// long.
func LogRecovered(e *zerolog.Event, failing *repeat.Errors) *zerolog.Event {
	if n, begun := failing.Over(); n > 0 {
		e = e.Int("failed_before", n).Dur("lasted_ms", time.Since(begun))
	}
	return e
}
