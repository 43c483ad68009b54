package app

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"supernats/schema/repeat"
)

// syncInterval is how often the embedded server flushes to the platter. What it
// acknowledged survives kill -9 at once and a power cut after that time.
const syncInterval = 10 * time.Second

// startEmbedded starts a NATS server with JetStream. The caller shuts it down.
func startEmbedded(cfg Embedded, dataDir string, log zerolog.Logger) (*server.Server, error) {
	host, portText, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("embedded.listen %q: %w", cfg.Listen, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("embedded.listen %q: the port is no number", cfg.Listen)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "supernats", Host: host, Port: port,
		JetStream: true, StoreDir: filepath.Join(dataDir, "nats"),
		// Unset, it would take three quarters of the free disk. The stream of
		// events reserves MaxStore; without more the others could not be made.
		JetStreamMaxStore: int64(cfg.MaxStore + cfg.MaxStore/4), JetStreamMaxMemory: 256 << 20,
		SyncInterval: syncInterval,
		// Signals are ours: the server's handler would end the process.
		NoSigs: true,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the embedded NATS server: %w", err)
	}
	logger := &natsLog{log: log.With().Str("component", "nats").Logger()}
	s.SetLoggerV2(logger, false, false, false)
	s.Start()
	if !ready(s, logger) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("start the embedded NATS server on %s with its store in %s: %w "+
			"(is another server running there? set nats.url to use it, or embedded.listen)", cfg.Listen, dataDir, logger.fatal())
	}
	return s, nil
}

// ready waits until a server can be connected to. One that has given up, a port
// that is in use, would be waited for in vain.
func ready(s *server.Server, log *natsLog) bool {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && log.last.Load() == nil; {
		if s.ReadyForConnections(100 * time.Millisecond) {
			return true
		}
	}
	return false
}

// natsLog hands the server's log on to ours. Its notices are about itself, so
// they are debug messages here.
type natsLog struct {
	log  zerolog.Logger
	last atomic.Pointer[string] // the last fatal message
	// failing are what it warns of.
	failing repeat.Errors
}

func (l *natsLog) fatal() error {
	last := l.last.Load()
	if last == nil || *last == "" {
		return errors.New("it is not ready after 30 s")
	}
	return errors.New(strings.ToLower((*last)[:1]) + (*last)[1:])
}

func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug().Msgf(format, v...) }
func (l *natsLog) Warnf(format string, v ...any)   { l.once(zerolog.WarnLevel, format, v) }
func (l *natsLog) Errorf(format string, v ...any)  { l.once(zerolog.ErrorLevel, format, v) }
func (l *natsLog) Debugf(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }
func (l *natsLog) Tracef(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }

// once says what repeats, as the errors of a full disk do, once an hour.
func (l *natsLog) once(level zerolog.Level, format string, v []any) {
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
