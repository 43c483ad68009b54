// Package web is what the bridge shows at --listen: metrics for Prometheus, and whether
// events are accepted.
//
// Under pressure: maxClients connections at once, and what holds one of them for too long
// is closed, see httplimit. Nothing of the bridge waits for a client.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v2"

	"supernats/schema"
	"supernats/schema/httplimit"
	"supernats/schema/repeat"
)

const (
	// listenEvery is how often an address that cannot be listened on is tried.
	listenEvery = 2 * time.Second
	// maxClients is how many connections there are at once, see httplimit. The spool
	// must not run out of descriptors.
	maxClients = 64
	// Off as an address means that nothing is served.
	Off = "off"
	// CauseListen is the cause of the trouble that nothing can be served.
	CauseListen = "listen"
)

// Check rejects what can be seen to be wrong with --listen and --web-config before
// anything runs.
func Check(listen, webConfig string) error {
	if listen == "" {
		if webConfig != "" {
			return fmt.Errorf("--web-config %s is set without --listen", webConfig)
		}
		return nil
	}

	_, port, err := net.SplitHostPort(listen)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("--listen: invalid value %q: want HOST:PORT, :PORT or off: %w", listen, err)
	}
	if err := web.Validate(webConfig); err != nil {
		return fmt.Errorf("--web-config %s: want Prometheus's web configuration file: %w", webConfig, err)
	}
	return nil
}

// Scheme is how what is served at --listen is asked for: https if the web configuration file
// has a certificate, else http. It is "" if the file cannot be read.
func Scheme(webConfig string) string {
	if webConfig == "" {
		return "http"
	}
	text, err := os.ReadFile(webConfig)
	if err != nil {
		return ""
	}
	var c web.Config
	if err := yaml.Unmarshal(text, &c); err != nil {
		return ""
	}
	if c.TLSConfig.TLSCertPath != "" || c.TLSConfig.TLSCert != "" { // without a key Check rejects it
		return "https"
	}
	return "http"
}

// NumberPort returns an address that Check has accepted with the number of its port, which
// may be the name of a service: elsewhere that may be another one, or none.
func NumberPort(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return listen
	}
	return net.JoinHostPort(host, strconv.Itoa(number))
}

// Troubles reports what is wrong, and that it is over. Either may be called again.
type Troubles interface {
	Raise(cause, text, fix string)
	Clear(cause string)
}

// Status is what /readyz shows.
type Status struct {
	// NotReady is why no events are accepted, nil if they are.
	NotReady  error
	Spool     *Spool // nil before it is open
	Connected bool   // to NATS
	Troubles  []schema.Trouble
}

// Spool is what /readyz shows of the spool.
type Spool struct {
	Records  uint64  // that wait for JetStream
	Memory   int     // how many of them are in memory
	Used     float64 // the part of what they may take
	Disk     error   // why the disk takes none, nil if it does
	Shedding bool    // what matters least is dropped
}

// Server serves HTTP.
type Server struct {
	Listen    string // HOST:PORT; empty: nowhere
	WebConfig string // a web configuration file of Prometheus, or empty
	Log       zerolog.Logger
	Troubles  Troubles
	Metrics   prometheus.Gatherer
	Status    func() Status
}

// Serve answers HTTP at --listen until the function that it returns is called.
// Nothing of the bridge waits for it, and whatever happens to the address is logged
// once and tried again: a listener that exits is FATAL.
func (s *Server) Serve(ctx context.Context) (stop func()) {
	if s.Listen == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // to the end of the drain time
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serveUntil(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// serveUntil serves until ctx ends.
func (s *Server) serveUntil(ctx context.Context) {
	for {
		err := s.serveOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		s.Troubles.Raise(CauseListen, "no metrics are served at --listen "+s.Listen+": "+err.Error(),
			"choose an address that is free, or end what listens there; it is tried again every few seconds")
		if !repeat.Sleep(ctx, listenEvery) {
			return
		}
	}
}

// serveOnce listens and serves until ctx ends or something breaks.
func (s *Server) serveOnce(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	s.Troubles.Clear(CauseListen)

	// Clients can make an error of each request: ten an hour are logged, of the
	// handler, the server and what is around them each.
	few := func() zerolog.Logger { return s.Log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Hour}) }
	server := &http.Server{Handler: s.newHandler(few())}
	limited := httplimit.Apply(server, l, maxClients, slog.New(zerolog.NewSlogHandler(few())))
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()

	// It rereads the file, and the certificates, for each connection.
	config := &web.FlagConfig{WebConfigFile: &s.WebConfig}
	return web.Serve(limited, server, config, slog.New(zerolog.NewSlogHandler(few())))
}

// newHandler answers requests; log is that of their errors.
func (s *Server) newHandler(log zerolog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(zerolog.NewSlogHandler(log), slog.LevelWarn),
		ErrorHandling: promhttp.ContinueOnError, // one that is missing takes no other with it
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	return mux
}

// readyz answers 200 if events are accepted. That is so without NATS and without
// supervisord's XML-RPC too; what is missing is reported nevertheless.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	status := s.Status()
	if status.NotReady != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not ready:", status.NotReady)
	} else {
		fmt.Fprintln(w, "ready")
	}

	if sp := status.Spool; sp != nil {
		fmt.Fprintf(w, "spool: %d records wait for JetStream, %.0f %% of what they may take is used\n",
			sp.Records, 100*sp.Used)
		if sp.Disk != nil {
			fmt.Fprintf(w, "spool: %d of them in memory, the disk takes none: %s\n",
				sp.Memory, oneLine(sp.Disk.Error()))
		}
		if sp.Shedding {
			fmt.Fprintln(w, "spool: nearly full, TICK and PROCESS_LOG are dropped and counted")
		}
	}

	nats := "connected"
	if !status.Connected {
		nats = "no connection, events wait in the spool"
	}
	fmt.Fprintln(w, "nats:", nats)

	for _, t := range status.Troubles {
		fmt.Fprintf(w, "trouble: %s since %s: %s (%s)\n",
			t.Cause, t.Since.UTC().Format(time.RFC3339), oneLine(t.Text), oneLine(t.Fix))
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
