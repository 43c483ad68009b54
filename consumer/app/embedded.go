package app

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
	"github.com/rs/zerolog"
)

// embeddedServer is the NATS server in the daemon. It can be started again in
// place: its clients, the daemon's own connection too, reconnect.
//
// That is needed since nats-server keeps the error of a write that failed, a full
// disk or no descriptors left, and then stores nothing more in that stream until it
// is opened again.
type embeddedServer struct {
	cfg  *Config
	log  zerolog.Logger
	user *inProcessUser

	// starting is held while the server is stopped and started.
	starting sync.Mutex
	// opts are those of the last start. Whoever reads them waits for none.
	opts atomic.Pointer[server.Options]
	// running is nil while there is none.
	running atomic.Pointer[server.Server]
}

// errRestarting is what a connection hears that comes at the wrong time.
var errRestarting = errors.New("the embedded NATS server is being restarted")

// startEmbedded starts a NATS server with JetStream. The caller shuts it down.
func startEmbedded(cfg *Config, log zerolog.Logger) (*embeddedServer, error) {
	user, err := newInProcessUser()
	if err != nil {
		return nil, err
	}
	e := &embeddedServer{cfg: cfg, log: log, user: user}
	o, kept, err := cfg.serverOptions(user)
	if err != nil {
		return nil, err
	}
	if kept != "" {
		log.Warn().Str("listen", kept).Str("fix", keptLocalFix).Msg(keptLocal)
	}
	if err := checkOwner(o.StoreDir, log); err != nil {
		return nil, err
	}
	if err := e.start(o); err != nil {
		return nil, err
	}
	return e, nil
}

// start starts the server.
func (e *embeddedServer) start(o *server.Options) error {
	s, err := server.NewServer(o.Clone())
	if err != nil {
		return fmt.Errorf("prepare the embedded NATS server: %w", err)
	}
	logger := &natsLog{log: e.log.With().Str("component", "nats").Logger()}
	s.SetLoggerV2(logger, false, false, false)
	s.Start()

	if !ready(s, logger) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return fmt.Errorf("start the embedded NATS server on %s with its store in %s: %w "+
			"(is another server running there? set nats.url to use it, or embedded.listen)",
			net.JoinHostPort(o.Host, portText(o.Port)), o.StoreDir, logger.fatal())
	}
	if a, ok := s.Addr().(*net.TCPAddr); ok {
		o.Port = a.Port // it keeps the one that was chosen for it
	}
	e.opts.Store(o)
	e.running.Store(s)
	return nil
}

// restart stops the server and starts it again. After an error there is none.
func (e *embeddedServer) restart() error {
	e.starting.Lock()
	defer e.starting.Unlock()

	e.stop()
	o, err := e.fresh()
	if err != nil {
		o = e.opts.Load() // the file is wrong now
	}
	return e.start(o)
}

// fresh are the options by the file as it is now.
func (e *embeddedServer) fresh() (*server.Options, error) {
	o, _, err := e.cfg.serverOptions(e.user)
	if err == nil && o.Port == server.RANDOM_PORT {
		o.Port = e.opts.Load().Port
	}
	return o, err
}

// reload has the running server read its file again: users, limits, certificates.
func (e *embeddedServer) reload() error {
	e.starting.Lock()
	defer e.starting.Unlock()

	s := e.running.Load()
	if s == nil || e.cfg.Embedded.Config == "" {
		return nil
	}
	o, err := e.fresh()
	if err != nil {
		return err
	}
	if err := s.ReloadOptions(o.Clone()); err != nil {
		return fmt.Errorf("embedded.config %s: %w", e.cfg.Embedded.Config, err)
	}
	e.opts.Store(o)
	return nil
}

// shutdown stops the server for good.
func (e *embeddedServer) shutdown() {
	e.starting.Lock()
	defer e.starting.Unlock()

	e.stop()
}

func (e *embeddedServer) stop() {
	if s := e.running.Swap(nil); s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// InProcessConn implements nats.InProcessConnProvider, for a server that changes.
func (e *embeddedServer) InProcessConn() (net.Conn, error) {
	s := e.running.Load()
	if s == nil {
		return nil, errRestarting
	}
	return s.InProcessConn()
}

// url is where clients find the server.
func (e *embeddedServer) url() string {
	if s := e.running.Load(); s != nil {
		return s.ClientURL()
	}
	return ""
}

// sick returns why the server must be started again, empty if it need not.
func (e *embeddedServer) sick() string {
	s := e.running.Load()
	switch {
	case s == nil:
		return "it could not be started again"
	case !s.Running():
		return "it has ended"
	case !s.JetStreamEnabled():
		return "its JetStream has ended"
	}
	if _, err := os.Stat(filepath.Join(e.opts.Load().StoreDir, server.JetStreamStoreDir)); errors.Is(err, os.ErrNotExist) {
		return "its store " + e.opts.Load().StoreDir + " was removed"
	}

	for _, h := range s.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(h.Error, "write error") {
			return h.Error
		}
	}
	return ""
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
