// Package web serves the HTTP address of the daemon: /healthz, /readyz, /-/reload, and what
// its rooms add, with TLS and passwords as Prometheus's web configuration file has them.
//
// Under pressure it serves a bounded number of connections at once and closes the rest (see
// schema/httplimit); errors that clients can cause are logged ten times an hour. Alerts
// never wait for it: an address that is in use is logged once and tried again.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/consumer/web/site"
	"supernats/schema/httplimit"
)

// ErrNoFile is the error of a reload where there is no file: the request was wrong, and
// not the configuration.
var ErrNoFile = errors.New("there is no configuration file to reload (-c FILE)")

// Server serves an address.
type Server struct {
	// Listen is the address: "127.0.0.1:8000".
	Listen string
	// WebConfig is Prometheus's web configuration file; empty: neither TLS nor passwords.
	WebConfig string
	// MaxConnections are served at once.
	MaxConnections int
	// Ready is closed when the daemon works or stands by.
	Ready  <-chan struct{}
	Health *health.Health
	// Reload reloads the configuration; ErrNoFile if there is none.
	Reload func() error
	// Site says under which addresses all this is, Rooms are what else is served there.
	Site  *site.Site
	Rooms []Room
	Log   zerolog.Logger
}

// Room serves some of the paths below the site's prefix.
type Room interface {
	// Register adds its paths, without the prefix.
	Register(mux *http.ServeMux)
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	t := health.Retry{Log: s.Log.With().Str("listen", s.Listen).Logger(), What: "serving HTTP"}
	for {
		err := s.listenAndServe(ctx)
		if err := t.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// listenAndServe serves until ctx ends or something breaks.
func (s *Server) listenAndServe(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	s.Log.Info().Stringer("listen", l.Addr()).Msg("serving HTTP")

	// Clients can make an error of each request.
	sampled := s.Log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Hour})
	few := slog.New(zerolog.NewSlogHandler(sampled))
	server := &http.Server{Handler: s.Handler()}
	limited := httplimit.Apply(server, l, s.MaxConnections, few)
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()

	// It reads the file, and the certificates, again for each connection.
	return web.Serve(limited, server, &web.FlagConfig{WebConfigFile: &s.WebConfig}, few)
}

// Handler answers the requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.serveReadyz)
	mux.HandleFunc("POST /-/reload", s.serveReload)
	mux.HandleFunc("PUT /-/reload", s.serveReload)
	for _, room := range s.Rooms {
		room.Register(mux)
	}
	return withHeaders(s.Site.Identify(s.protect(s.belowPrefix(withMethods(mux)))))
}

// belowPrefix serves everything below the prefix, and leads there from "/". What asks for the
// health of the daemon may not know the prefix.
func (s *Server) belowPrefix(inner http.Handler) http.Handler {
	prefix := s.Site.Prefix
	if prefix == "" {
		return inner
	}

	outer := http.NewServeMux()
	outer.Handle(prefix+"/", http.StripPrefix(prefix, inner))
	outer.Handle("GET /{$}", http.RedirectHandler(prefix+"/", http.StatusFound))
	outer.Handle("/healthz", inner)
	outer.Handle("/readyz", inner)
	return outer
}

// serveReload answers with the statuses of Prometheus and Alertmanager.
func (s *Server) serveReload(w http.ResponseWriter, _ *http.Request) {
	switch err := s.Reload(); {
	case errors.Is(err, ErrNoFile):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		fmt.Fprintln(w, "reloaded")
	}
}

// serveReadyz answers 200 if nothing keeps the daemon from its work, with the warnings all the
// same.
func (s *Server) serveReadyz(w http.ResponseWriter, _ *http.Request) {
	failures := s.Health.Failures()
	started := false
	select {
	case <-s.Ready:
		started = true
	default:
	}

	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	switch {
	case len(failures) > 0:
		w.WriteHeader(http.StatusServiceUnavailable)
	case !started:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not ready: streams and buckets cannot be reached yet, the log says why")
	default:
		fmt.Fprintln(w, "ready")
	}

	writeTroubles(w, "not ready", failures)
	writeTroubles(w, "warning", s.Health.Warnings())
}

func writeTroubles(w http.ResponseWriter, kind string, list []health.Trouble) {
	for _, t := range list {
		since := t.Since.UTC().Format(time.RFC3339)
		fmt.Fprintf(w, "%s: %s (%s, since %s); %s\n", kind, t.Text, t.Cause, since, t.Fix)
	}
}
