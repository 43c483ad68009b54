package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/schema/stream"
)

const (
	// lookEvery is how often the embedded server is asked how it is, and a file is
	// written beside its store.
	lookEvery = 2 * time.Second
	// tryEvery is how often each stream and bucket is tried, tryTimeout bounds that.
	tryEvery   = 10 * time.Second
	tryTimeout = 10 * time.Second
	// restartPause is how long the embedded server is left alone after a restart; it
	// doubles while it does not help.
	restartPause    = 5 * time.Second
	restartPauseMax = 5 * time.Minute
	// calmAfter is how long after that pause the server must have worked for the pause to
	// begin small again.
	calmAfter = time.Minute
	// tryBytes is more than a file system keeps back for files that are small.
	tryBytes = 64 << 10
)

// causeStore is that nothing, or not everything, can be stored.
const causeStore = "store"

const (
	fixDisk    = "free some space there, or raise the limit that is named; the rest happens by itself"
	fixRestart = "nothing, it is restarted; if that does not help, the log says why"
	fixForeign = "restart that nats-server: a stream in which a write has failed once takes nothing before that; " +
		"see also its log, and: df -h"
)

// StoreWatch tries whether what is published can be stored. nats-server keeps the
// error of a write that failed: afterwards reading looks healthy, and nothing is
// stored any more.
//
// The embedded server restarts as soon as its disk can be written. Another one
// needs a person to restart it: the fix of the trouble asks for that.
type StoreWatch struct {
	// js is that of the connection there is now; nil before the first one.
	js     atomic.Pointer[jetstream.JetStream]
	server *Server // set before Run; nil if the server is not ours
	health *health.Health
	log    zerolog.Logger

	// The rest belongs to Run.
	tried   time.Time // when the streams were tried
	refused error     // what they answered
	// restarted is when the server was restarted, pause how long it is left alone
	// after that.
	restarted time.Time
	pause     time.Duration
}

// NewStoreWatch returns a watch that raises troubles in h.
func NewStoreWatch(h *health.Health, log zerolog.Logger) *StoreWatch {
	return &StoreWatch{health: h, log: log}
}

// SetServer has the watch restart a server that is ours. It is called before Run.
func (w *StoreWatch) SetServer(s *Server) { w.server = s }

// Use has the streams tried over a connection.
func (w *StoreWatch) Use(js jetstream.JetStream) { w.js.Store(&js) }

// Run watches until ctx ends.
func (w *StoreWatch) Run(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		w.Look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Look tries the streams, and asks the embedded server how it is, once.
func (w *StoreWatch) Look(ctx context.Context) {
	w.tryStreams(ctx)
	if ctx.Err() != nil {
		return
	}

	var refusal *stream.WriteError
	if full := errors.As(w.refused, &refusal) && refusal.Full; full || w.server == nil {
		w.report(w.refused, fixOf(refusal))
		if w.server == nil {
			return
		}
	}

	reason := w.server.restartReason()
	if reason == "" && refusal != nil && !refusal.Full {
		reason = refusal.Error()
	}
	dir := w.server.opts.Load().StoreDir
	switch err := tryDisk(dir); {
	case err != nil:
		w.report(fmt.Errorf("nothing can be stored in %s: %w", dir, err), fixDisk)
	case reason != "":
		w.report(fmt.Errorf("the embedded NATS server stores nothing any more: %s", reason), fixRestart)
		w.restart(reason)
	case refusal == nil:
		if w.pause > 0 && time.Since(w.restarted) > w.pause+calmAfter {
			w.pause = 0
		}
		w.report(nil, "")
	}
}

// fixOf returns what to do about a stream that stores nothing.
func fixOf(refusal *stream.WriteError) string {
	if refusal != nil && refusal.Full {
		return "raise its limit: nats stream edit " + refusal.Stream +
			" --max-bytes=SIZE --discard=old, or that of the account"
	}
	return fixForeign
}

// report raises or clears the trouble.
func (w *StoreWatch) report(err error, fix string) {
	if err == nil {
		w.health.Clear(causeStore)
		return
	}
	w.health.Raise(causeStore, err.Error(), fix)
}

// restart restarts the embedded server, but not all the time.
func (w *StoreWatch) restart(why string) {
	if time.Since(w.restarted) < w.pause {
		return
	}
	w.pause = min(restartPauseMax, max(restartPause, 2*w.pause))

	w.log.Warn().Str("reason", why).Msg("embedded NATS server is restarted")
	err := w.server.restart()
	w.restarted = time.Now()
	// What the streams answered before no longer counts.
	w.refused = nil
	w.tried = time.Time{}

	if err != nil {
		w.log.Error().Err(err).Dur("pause_ms", w.pause).Msg("embedded NATS server could not be restarted")
		return
	}
	w.log.Info().Str("url", w.server.URL()).Msg("embedded NATS server is running again")
}

// tryStreams asks every stream and bucket whether it stores what it gets, now and then.
func (w *StoreWatch) tryStreams(ctx context.Context) {
	js := w.js.Load()
	if js == nil || time.Since(w.tried) < tryEvery || !(*js).Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()

	w.refused = stream.TryWrites(ctx, *js)
	w.tried = time.Now()
	if w.refused != nil { // it may have met an election, or a disk that was busy
		w.refused = stream.TryWrites(ctx, *js)
	}
}

// tryDisk writes a file as a store does.
func tryDisk(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	name := filepath.Join(dir, ".write-test")
	_ = os.Remove(name) // to overwrite a file would need no space

	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	_, err = f.Write(make([]byte, tryBytes))
	return err
}
