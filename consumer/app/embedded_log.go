package app

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

// natsLog hands the server's log on to ours. Its notices are about itself, so
// they are debug messages here.
type natsLog struct {
	log  zerolog.Logger
	last atomic.Pointer[string] // the last fatal message

	// failing are what it warns of.
	failing repeat.Errors

	mu    sync.Mutex
	kinds map[string]*logKind // by format, of which the server has some hundreds
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

func (l *natsLog) fatal() error {
	last := l.last.Load()
	if last == nil || *last == "" {
		return errors.New("it is not ready after 30 s")
	}
	return errors.New(strings.ToLower((*last)[:1]) + (*last)[1:])
}

func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug().Msgf(format, v...) }
func (l *natsLog) Debugf(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }
func (l *natsLog) Tracef(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }

func (l *natsLog) Warnf(format string, v ...any)  { l.once(zerolog.WarnLevel, format, v) }
func (l *natsLog) Errorf(format string, v ...any) { l.once(zerolog.ErrorLevel, format, v) }

// once says what repeats, as the errors of a full disk do, once an hour.
func (l *natsLog) once(level zerolog.Level, format string, v []any) {
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
