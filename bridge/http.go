package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/rs/zerolog"

	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/schema/httplimit"
)

const (
	// listenEvery is how often an address that cannot be listened on is tried.
	listenEvery = 2 * time.Second
	// maxClients is how many connections there are at once, see httplimit. The spool
	// must not run out of descriptors.
	maxClients = 64
	// listenOff as an address is none.
	listenOff = "off"
)

// checkListen rejects what can be seen to be wrong with --listen and --web-config
// before anything runs.
func (c Config) checkListen() error {
	if c.Listen == "" {
		if c.WebConfig != "" {
			return fmt.Errorf("--web-config %s is set without --listen", c.WebConfig)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("--listen %q: %w; allowed are HOST:PORT, :PORT and off", c.Listen, err)
	}
	if err := web.Validate(c.WebConfig); err != nil {
		return fmt.Errorf("--web-config %s: %w; allowed is Prometheus's web configuration file", c.WebConfig, err)
	}
	return nil
}

// serve answers HTTP at --listen until the function that it returns is called.
// Nothing of the bridge waits for it, and whatever happens to the address is logged
// once and tried again: a listener that exits is FATAL.
func (b *Bridge) serve(ctx context.Context) (stop func()) {
	if b.cfg.Listen == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // to the end of the drain time
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			err := b.serveOnce(ctx)
			if ctx.Err() != nil {
				return
			}
			b.troubles.Raise(troubleListen, "no metrics are served at --listen "+b.cfg.Listen+": "+err.Error(),
				"choose an address that is free, or end what listens there; it is tried again every few seconds")
			select {
			case <-ctx.Done():
				return
			case <-time.After(listenEvery):
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// serveOnce listens and serves until ctx ends or something breaks.
func (b *Bridge) serveOnce(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", b.cfg.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	b.troubles.Clear(troubleListen)
	// Clients can make an error of each request: ten an hour are logged, of the
	// handler, the server and what is around them each.
	few := func() zerolog.Logger { return b.log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Hour}) }
	server := &http.Server{Handler: b.handler(few())}
	limited := httplimit.Apply(server, l, maxClients, slog.New(zerolog.NewSlogHandler(few())))
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	// It rereads the file, and the certificates, for each connection.
	return web.Serve(limited, server, &web.FlagConfig{WebConfigFile: &b.cfg.WebConfig}, slog.New(zerolog.NewSlogHandler(few())))
}

func (b *Bridge) handler(log zerolog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(zerolog.NewSlogHandler(log), slog.LevelWarn),
		ErrorHandling: promhttp.ContinueOnError, // one that is missing takes no other with it
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", b.readyz)
	return mux
}

var errSpoolClosed = errors.New("spool is not open yet, the log says why")

// notReady is why no events are accepted, nil if they are.
func (b *Bridge) notReady() error {
	if s := b.journal.spool.Load(); s != nil {
		return s.Stats().Err
	}
	return errSpoolClosed
}

// readyz answers 200 if events are accepted. That is so without NATS and without
// supervisord's XML-RPC too; what is missing is told all the same.
func (b *Bridge) readyz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := b.notReady(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not ready:", err)
	} else {
		fmt.Fprintln(w, "ready")
	}
	if s := b.journal.spool.Load(); s != nil {
		st := s.Stats()
		fmt.Fprintf(w, "spool: %d records wait for JetStream, %.0f %% of what they may take is used\n", st.Records, 100*s.Used())
		if st.Disk != nil {
			fmt.Fprintf(w, "spool: %d of them in memory, the disk takes none: %s\n", st.Memory, oneLine(st.Disk.Error()))
		}
		if s.Used() > shedAbove {
			fmt.Fprintln(w, "spool: nearly full, TICK and PROCESS_LOG are let go and counted")
		}
	}
	nats := "connected"
	if b.metrics.nats.Load() == nil {
		nats = "no connection, events wait in the spool"
	}
	fmt.Fprintln(w, "nats:", nats)
	for _, t := range b.troubles.Lasting() {
		fmt.Fprintf(w, "trouble: %s since %s: %s (%s)\n", t.Cause, t.Since.UTC().Format(time.RFC3339), oneLine(t.Text), oneLine(t.Fix))
	}
}

// oneLine keeps text of others from looking like lines of ours.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// spoolStats are those of the spool, zeros before it is open.
func (b *Bridge) spoolStats() spool.QueueStats {
	if s := b.journal.spool.Load(); s != nil {
		return s.Stats()
	}
	return spool.QueueStats{}
}

// oldestAge is how many seconds ago the oldest record in the spool was read from
// supervisord.
func (b *Bridge) oldestAge() float64 {
	s := b.journal.spool.Load()
	if s == nil {
		return 0
	}
	rec, err := s.Oldest()
	if err == nil && rec == nil {
		return 0
	}
	var at time.Time
	if err == nil {
		at, err = record.Time(rec)
	}
	if err != nil {
		return math.NaN() // the disk cannot be read, or not understood
	}
	return max(0, time.Since(at).Seconds())
}
