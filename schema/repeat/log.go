package repeat

import (
	"time"

	"github.com/rs/zerolog"
)

// Log counts an error and returns the event that reports it: a warning the first time,
// one for debugging while the same error repeats.
func (e *Errors) Log(log zerolog.Logger, err error) *zerolog.Event {
	if e.Failed(err) {
		return log.Warn().Err(err)
	}
	return log.Debug().Err(err)
}

// LogOver returns the event that reports that the task works again, with how often it
// failed and for how long. It is nil, and logs nothing, if there was no error.
func (e *Errors) LogOver(log zerolog.Logger) *zerolog.Event {
	total, begun := e.Over()
	if total == 0 {
		return nil
	}
	return addOver(log.Info(), total, begun)
}

// AddOver adds to the event of a success how often the task failed before, if it did.
func (e *Errors) AddOver(event *zerolog.Event) *zerolog.Event {
	total, begun := e.Over()
	if total == 0 {
		return event
	}
	return addOver(event, total, begun)
}

func addOver(event *zerolog.Event, total int, begun time.Time) *zerolog.Event {
	return event.Int("failed_before", total).Dur("lasted_ms", time.Since(begun))
}
