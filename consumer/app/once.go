package app

import (
	"time"

	"github.com/rs/zerolog"

	"supernats/schema/repeat"
)

// onceOf is the event of an error: a warning the first time, and for those who debug
// when it comes again.
func onceOf(log zerolog.Logger, failing *repeat.Errors, err error) *zerolog.Event {
	if failing.Failed(err) {
		return log.Warn().Err(err)
	}
	return log.Debug().Err(err)
}

// overAfter adds to an event that something works again how often it failed before, and
// for how long.
func overAfter(e *zerolog.Event, failing *repeat.Errors) *zerolog.Event {
	if n, begun := failing.Over(); n > 0 {
		e = e.Int("failed_before", n).Dur("lasted_ms", time.Since(begun))
	}
	return e
}
