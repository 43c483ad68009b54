// Package embedded runs a NATS server in the daemon, for those who have none: Server with
// its users, log and lock, and StoreWatch, which tries whether what is published can be
// stored, on any server.
//
// Under pressure: a flood of connections leaves descriptors for the store (half of what is
// left of the limit may be connections), and ten log lines a minute of each kind. A full
// disk is reported until it has room; then the server restarts in place, at most every 5
// seconds, and every 5 minutes when that does not help. What clients publish meanwhile is
// refused, so nothing is acknowledged that is not stored.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"supernats/schema/natsconn"
)

// startTimeout is how long a start may take until clients can connect.
const startTimeout = 30 * time.Second

// Server is the NATS server in the daemon. It can be restarted in place: its clients, the
// daemon's own connection too, reconnect. It is safe for concurrent use.
//
// That is needed since nats-server keeps the error of a write that failed, a full
// disk or no descriptors left, and then stores nothing more in that stream until it
// is opened again.
type Server struct {
	settings Settings
	log      zerolog.Logger
	user     *inProcessUser

	// starting is held while the server is stopped and started.
	starting sync.Mutex
	// opts are those of the last start. Readers do not wait for a restart.
	opts atomic.Pointer[server.Options]
	// running is nil while there is none.
	running atomic.Pointer[server.Server]
}

// errRestarting answers a connection that comes during a restart.
var errRestarting = errors.New("the embedded NATS server is being restarted")

// Start starts a NATS server with JetStream. The caller shuts it down.
func Start(s Settings, log zerolog.Logger) (*Server, error) {
	user, err := newInProcessUser()
	if err != nil {
		return nil, err
	}
	o, kept, err := s.options(user)
	if err != nil {
		return nil, err
	}
	if kept != "" {
		log.Warn().Str("listen", kept).Str("fix", keptLocalFix).Msg(keptLocal)
	}
	if err := checkOwner(o.StoreDir, log); err != nil {
		return nil, err
	}

	e := &Server{settings: s, log: log, user: user}
	if err := e.start(o); err != nil {
		return nil, err
	}
	return e, nil
}

// start starts a server with new options.
func (e *Server) start(o *server.Options) error {
	s, err := server.NewServer(o.Clone())
	if err != nil {
		return fmt.Errorf("prepare the embedded NATS server: %w", err)
	}
	logger := &natsLog{log: e.log.With().Str("component", "nats").Logger()}
	s.SetLoggerV2(logger, false, false, false)
	s.Start()

	if !waitReady(s, logger) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		err := logger.fatalError()
		return fmt.Errorf("start the embedded NATS server on %s with its store in %s: %w (%s)",
			net.JoinHostPort(o.Host, portText(o.Port)), o.StoreDir, err, startFix(err))
	}

	if a, ok := s.Addr().(*net.TCPAddr); ok {
		o.Port = a.Port // a restart keeps the port that was chosen
	}
	e.opts.Store(o)
	e.running.Store(s)
	return nil
}

// startFix is what helps a server that did not start. nats-server hands out no errors,
// only what it logs (server/server.go EnableJetStream).
func startFix(err error) string {
	if strings.Contains(err.Error(), "JetStream") {
		return "its user must be able to write there: see data_dir, or store_dir in the file of embedded.config"
	}
	return "is another server running there? set nats.url to use it, or embedded.listen"
}

// waitReady waits until a server can be connected to. It does not wait for one that has
// given up, since its port is in use.
func waitReady(s *server.Server, log *natsLog) bool {
	for end := time.Now().Add(startTimeout); time.Now().Before(end) && log.last.Load() == nil; {
		if s.ReadyForConnections(100 * time.Millisecond) {
			return true
		}
	}
	return false
}

// restart stops the server and starts it again. After an error there is none.
func (e *Server) restart() error {
	e.starting.Lock()
	defer e.starting.Unlock()

	e.stop()
	o, err := e.currentOptions()
	if err != nil {
		o = e.opts.Load() // the file is wrong now
	}
	return e.start(o)
}

// currentOptions are the options by the file as it is now.
func (e *Server) currentOptions() (*server.Options, error) {
	o, _, err := e.settings.options(e.user)
	if err == nil && o.Port == server.RANDOM_PORT {
		o.Port = e.opts.Load().Port
	}
	return o, err
}

// Reload has the running server read its file again: users, limits, certificates.
func (e *Server) Reload() error {
	e.starting.Lock()
	defer e.starting.Unlock()

	s := e.running.Load()
	file := e.settings.Section.Config
	if s == nil || file == "" {
		return nil
	}
	o, err := e.currentOptions()
	if err != nil {
		return err
	}

	if err := s.ReloadOptions(o.Clone()); err != nil {
		return fmt.Errorf("embedded.config %s: %w", file, err)
	}
	e.opts.Store(o)
	return nil
}

// Shutdown stops the server for good.
func (e *Server) Shutdown() {
	e.starting.Lock()
	defer e.starting.Unlock()

	e.stop()
}

func (e *Server) stop() {
	if s := e.running.Swap(nil); s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// InProcessConn implements nats.InProcessConnProvider, for a server that changes.
func (e *Server) InProcessConn() (net.Conn, error) {
	s := e.running.Load()
	if s == nil {
		return nil, errRestarting
	}
	return s.InProcessConn()
}

// URL is where clients find the server.
func (e *Server) URL() string {
	if s := e.running.Load(); s != nil {
		return s.ClientURL()
	}
	return ""
}

// Client returns how the daemon connects to the server that it embeds: by the login that
// the configuration names, but without TLS, since nothing leaves the process.
func (e *Server) Client(s natsconn.Settings) natsconn.Settings {
	s.URL = natsconn.DefaultURL // is not used
	s.TLS = natsconn.TLS{}
	return s
}

// LoginOptions are those of the daemon's connection.
func (e *Server) LoginOptions() []nats.Option {
	opts := []nats.Option{nats.InProcessServer(e)}
	if e.settings.Login.LogsIn() {
		return opts
	}

	switch o := e.opts.Load(); {
	case e.user.isListed(o):
		return append(opts, e.user.loginOption())
	case o.Authorization != "":
		return append(opts, nats.Token(o.Authorization))
	}
	return opts
}

// restartReason returns why the server must be restarted, empty if it need not be.
func (e *Server) restartReason() string {
	s := e.running.Load()
	switch {
	case s == nil:
		return "it could not be restarted"
	case !s.Running():
		return "it has ended"
	case !s.JetStreamEnabled():
		return "its JetStream has ended"
	}

	store := e.opts.Load().StoreDir
	if _, err := os.Stat(filepath.Join(store, server.JetStreamStoreDir)); errors.Is(err, os.ErrNotExist) {
		return "its store " + store + " was removed"
	}

	for _, h := range s.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(h.Error, "write error") {
			return h.Error
		}
	}
	return ""
}
