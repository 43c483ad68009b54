package embedded

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"supernats/schema/repeat"
)

// A flood of connections makes the server log a line or two for each: of one kind,
// logBurst are logged in logPeriod, and then how many there were.
const (
	logBurst  = 10
	logPeriod = time.Minute
)

// natsLog passes the server's log to ours. The server's notices are about itself, so they
// are debug messages here. It is safe for concurrent use.
type natsLog struct {
	log  zerolog.Logger
	last atomic.Pointer[string] // the last fatal message

	// failing counts its warnings and errors.
	failing repeat.Errors

	mu sync.Mutex
	// kinds are by format, of which the server has some hundreds.
	kinds map[string]*logKind
}

// logKind counts the lines of one format.
type logKind struct {
	since time.Time
	n     int
}

// isTooMany counts a line, and reports whether it is one too many of its kind.
func (l *natsLog) isTooMany(format string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	k := l.kinds[format]
	if k == nil {
		if l.kinds == nil {
			l.kinds = map[string]*logKind{}
		}
		k = &logKind{since: time.Now()}
		l.kinds[format] = k
	}

	if time.Since(k.since) > logPeriod {
		if dropped := k.n - logBurst; dropped > 0 {
			l.log.Warn().Int("lines", dropped).Str("like", format).Msg("lines of the NATS server were not logged")
		}
		*k = logKind{since: time.Now()}
	}

	k.n++
	return k.n > logBurst
}

// fatalError returns why the server has given up.
func (l *natsLog) fatalError() error {
	last := l.last.Load()
	if last == nil || *last == "" {
		return fmt.Errorf("it is not ready after %.0f s", startTimeout.Seconds())
	}
	return errors.New(strings.ToLower((*last)[:1]) + (*last)[1:])
}

func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug().Msgf(format, v...) }
func (l *natsLog) Debugf(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }
func (l *natsLog) Tracef(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }

func (l *natsLog) Warnf(format string, v ...any)  { l.logOnce(zerolog.WarnLevel, format, v) }
func (l *natsLog) Errorf(format string, v ...any) { l.logOnce(zerolog.ErrorLevel, format, v) }

// logOnce logs what repeats, as the errors of a full disk do, once an hour.
func (l *natsLog) logOnce(level zerolog.Level, format string, v []any) {
	if l.isTooMany(format) {
		return
	}
	text := fmt.Sprintf(format, v...)
	if !l.failing.FailedAt(text, time.Now()) {
		level = zerolog.DebugLevel
	}
	l.log.WithLevel(level).Msg(text)
}

// Fatalf must not exit.
func (l *natsLog) Fatalf(format string, v ...any) {
	last := fmt.Sprintf(format, v...)
	l.last.Store(&last)
	l.log.Error().Msg(last)
}
