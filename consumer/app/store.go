package app

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
	// askEvery is how often the embedded server is asked how it is, and a file is
	// written beside its store.
	askEvery = 2 * time.Second
	// tryEvery is how often each stream and bucket is tried.
	tryEvery = 10 * time.Second
	// restartPause is how long the embedded server is left alone after a restart; it
	// doubles while it does not help.
	restartPause    = 5 * time.Second
	restartPauseMax = 5 * time.Minute
	// tryBytes is more than a file system keeps back for files that are small.
	tryBytes = 64 << 10
)

// causeStore is that nothing, or not everything, can be stored.
const causeStore = "store"

// storeWatch tries whether what is published can be stored. nats-server keeps the
// error of a write that failed: afterwards everything that is read looks well, and
// nothing is stored any more.
//
// An embedded server is started again as soon as its disk can be written; another
// one has to be by somebody, who is told so.
type storeWatch struct {
	// js is that of the connection there is now; nil before the first one.
	js     atomic.Pointer[jetstream.JetStream]
	server *embeddedServer // nil if it is not ours
	health *health.Health
	log    zerolog.Logger

	tried   time.Time // when the streams were tried
	refused error     // what they answered
	// restarted is when the server was started again, pause how long it is left alone
	// after that.
	restarted time.Time
	pause     time.Duration
}

func newStoreWatch(h *health.Health, log zerolog.Logger) *storeWatch {
	return &storeWatch{health: h, log: log}
}

// use has the streams tried over a connection.
func (w *storeWatch) use(js jetstream.JetStream) { w.js.Store(&js) }

// Run looks until ctx ends.
func (w *storeWatch) Run(ctx context.Context) error {
	t := time.NewTicker(askEvery)
	defer t.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (w *storeWatch) look(ctx context.Context) {
	w.try(ctx)
	if ctx.Err() != nil {
		return
	}
	var refusal *stream.WriteError
	if full := errors.As(w.refused, &refusal) && refusal.Full; full || w.server == nil {
		w.say(w.refused, storeFix(refusal))
		if w.server == nil {
			return
		}
	}

	sick, dir := w.server.sick(), w.server.opts.Load().StoreDir
	if sick == "" && refusal != nil && !refusal.Full {
		sick = refusal.Error()
	}
	switch err := tryDisk(dir); {
	case err != nil:
		w.say(fmt.Errorf("nothing can be stored in %s: %w", dir, err), "free some space there, or raise the limit that is named; the rest happens by itself")
	case sick != "":
		w.say(fmt.Errorf("the embedded NATS server stores nothing any more: %s", sick), "nothing, it is started again; if that does not help, the log says why")
		w.restart(sick)
	case refusal == nil:
		if w.pause > 0 && time.Since(w.restarted) > w.pause+time.Minute {
			w.pause = 0
		}
		w.say(nil, "")
	}
}

// storeFix says what to do about a stream that stores nothing.
func storeFix(refusal *stream.WriteError) string {
	if refusal != nil && refusal.Full {
		return fmt.Sprintf("raise its limit: nats stream edit %s --max-bytes=SIZE --discard=old, or that of the account", refusal.Stream)
	}
	return "restart that nats-server: a stream in which a write has failed once takes nothing before that; see also its log, and: df -h"
}

// say raises or clears the trouble.
func (w *storeWatch) say(err error, fix string) {
	if err == nil {
		w.health.Clear(causeStore)
		return
	}
	w.health.Raise(causeStore, err.Error(), fix)
}

// restart starts the embedded server again, but not all the time.
func (w *storeWatch) restart(why string) {
	if time.Since(w.restarted) < w.pause {
		return
	}
	w.pause = min(restartPauseMax, max(restartPause, 2*w.pause))

	w.log.Warn().Str("reason", why).Msg("embedded NATS server is started again")
	err := w.server.restart()
	w.restarted, w.refused, w.tried = time.Now(), nil, time.Time{}
	if err != nil {
		w.log.Error().Err(err).Dur("pause_ms", w.pause).Msg("embedded NATS server could not be started again")
		return
	}
	w.log.Info().Str("url", w.server.url()).Msg("embedded NATS server is running again")
}

// try asks every stream and bucket whether it stores what it gets, now and then.
func (w *storeWatch) try(ctx context.Context) {
	js := w.js.Load()
	if js == nil || time.Since(w.tried) < tryEvery || !(*js).Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()

	w.refused, w.tried = stream.TryWrites(ctx, *js), time.Now()
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
	_ = os.Remove(name) // what was there would need no space
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	_, err = f.Write(make([]byte, tryBytes))
	return err
}
