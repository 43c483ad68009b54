package app

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

	"supernats/consumer/embedded"
	"supernats/consumer/health"
	"supernats/schema/httplimit"
)

// maxClients is how many connections there are at once, see httplimit.
const maxClients = 256

// serve answers HTTP at the address of `listen` until ctx ends. Alerts do not wait
// for it: an address that is in use is logged once and tried again.
func (a *App) serve(ctx context.Context) error {
	t := health.Retry{Log: a.log.With().Str("listen", a.cfg.Listen).Logger(), What: "serving HTTP"}
	for {
		err := a.serveOnce(ctx)
		if err := t.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// serveOnce listens and serves until ctx ends or something breaks.
func (a *App) serveOnce(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	a.log.Info().Stringer("listen", l.Addr()).Msg("serving HTTP")
	// Clients can make an error of each request.
	few := slog.New(zerolog.NewSlogHandler(a.log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Hour})))
	server := &http.Server{Handler: a.handler()}
	limited := httplimit.Apply(server, l, pageConnections(embedded.Descriptors()), few)
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	// It reads the file, and the certificates, anew for each connection.
	return web.Serve(limited, server, &web.FlagConfig{WebConfigFile: &a.cfg.WebConfig}, few)
}

// pageConnections returns how many connections the HTTP address serves at once.
func pageConnections(descriptors int) int {
	return min(maxClients, max(4, (descriptors-embedded.OwnDescriptors)/4))
}

func (a *App) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	reload := func(w http.ResponseWriter, _ *http.Request) {
		switch err := a.Reload(); {
		case errors.Is(err, errNoFile):
			http.Error(w, err.Error(), http.StatusBadRequest)
		case err != nil: // the status that Prometheus and Alertmanager answer
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			fmt.Fprintln(w, "reloaded")
		}
	}
	mux.HandleFunc("POST /-/reload", reload)
	mux.HandleFunc("PUT /-/reload", reload)
	return sameOrigin(mux)
}

// sameOrigin refuses what a page of another site makes a browser send: only reading
// is free. Programs send no Origin and are let through; who may do what is up to
// web_config.
func sameOrigin(h http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "refused: the request comes from a page of another site", http.StatusForbidden)
	}))
	return p.Handler(h)
}

// readyz answers 200 if nothing keeps the daemon from its work, with what is wrong all the
// same.
func (a *App) readyz(w http.ResponseWriter, _ *http.Request) {
	wrong := a.health.Failures()
	started := false
	select {
	case <-a.ready:
		started = true
	default:
	}

	say := func(how string, t health.Trouble) {
		fmt.Fprintf(w, "%s: %s (%s, since %s); %s\n", how, t.Text, t.Cause, t.Since.UTC().Format(time.RFC3339), t.Fix)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if len(wrong) == 0 && started {
		fmt.Fprintln(w, "ready")
		for _, t := range a.health.Warnings() {
			say("warning", t)
		}
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	if len(wrong) == 0 {
		fmt.Fprintln(w, "not ready: streams and buckets cannot be reached yet, the log says why")
	}
	for _, t := range wrong {
		say("not ready", t)
	}
	for _, t := range a.health.Warnings() {
		say("warning", t)
	}
}
