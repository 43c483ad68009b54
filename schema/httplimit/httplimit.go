// Package httplimit keeps an HTTP address answering whoever else connects to it.
//
// There is a bound to connections. At the bound a new one is not left to wait, as it
// would be with a plain limit: half-open connections would hold all places for as long
// as their time limits let them. Instead the connection goes that has the least to
// lose: one that waits for a request, of the address that has most of them, the oldest
// first. One whose request is being answered goes only after Patience. If there is
// none to go, the new one is closed at once.
package httplimit

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Patience is how long a request may take before its connection counts as one that
// may go: a client that reads nothing holds its place no longer.
const Patience = 5 * time.Second

// Time and size limits of a server. An honest client sends its header at once; one
// that is idle can connect again.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 30 * time.Second
	maxHeaderBytes = 32 << 10
)

// Apply sets the limits of a server, and has it log to log. It returns the listener to
// serve, which holds up to most connections.
func Apply(server *http.Server, l net.Listener, most int, log *slog.Logger) net.Listener {
	server.ReadHeaderTimeout, server.ReadTimeout = headerTimeout, readTimeout
	server.WriteTimeout, server.IdleTimeout = writeTimeout, idleTimeout
	server.MaxHeaderBytes = maxHeaderBytes
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)

	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(key{}).(*conn); ok {
			c.begin()
			defer c.end()
		}
		next.ServeHTTP(w, r)
	})
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if secure, ok := c.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
			c = secure.NetConn()
		}
		return context.WithValue(ctx, key{}, c)
	}
	return &listener{Listener: l, most: most, log: log, conns: map[*conn]bool{}, perHost: map[string]int{}}
}

// key is that of the connection in the context of a request.
type key struct{}

// listener knows its connections.
type listener struct {
	net.Listener
	most int
	log  *slog.Logger

	mu    sync.Mutex
	conns map[*conn]bool
	// perHost counts the connections of each address without its port.
	perHost map[string]int
}

// conn is a connection; what is beside net.Conn is guarded by the listener's mutex.
type conn struct {
	net.Conn
	l    *listener
	host string
	// requests are those being answered; HTTP/2 has several at a time.
	requests int
	// since is when requests last became 0 or was it no longer.
	since time.Time
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c, admitted := l.admit(raw); admitted {
			return c, nil
		}
		_ = raw.Close()
	}
}

// admit makes room for a connection.
func (l *listener) admit(raw net.Conn) (*conn, bool) {
	host, _, err := net.SplitHostPort(raw.RemoteAddr().String())
	if err != nil {
		host = raw.RemoteAddr().String()
	}
	c := &conn{Conn: raw, l: l, host: host, since: time.Now()}

	l.mu.Lock()
	var victim *conn
	full := len(l.conns) >= l.most
	if full {
		victim = l.leastToLose(c.since)
	}
	if !full || victim != nil {
		l.conns[c] = true
		l.perHost[host]++
	}
	l.mu.Unlock()

	if full {
		l.log.Warn("more connections than are served at once: those that wait longest for a request are closed", "limit", l.most, "from", host)
	}
	if victim != nil {
		_ = victim.Close()
	}
	return c, !full || victim != nil
}

// leastToLose returns the connection that goes, nil if none may, and forgets it.
func (l *listener) leastToLose(now time.Time) (victim *conn) {
	for c := range l.conns {
		if c.requests > 0 && now.Sub(c.since) < Patience {
			continue
		}
		if victim == nil || l.before(c, victim) {
			victim = c
		}
	}
	if victim != nil {
		l.forget(victim)
	}
	return victim
}

// before reports whether a goes rather than b.
func (l *listener) before(a, b *conn) bool {
	if waiting := a.requests == 0; waiting != (b.requests == 0) {
		return waiting
	}
	if l.perHost[a.host] != l.perHost[b.host] {
		return l.perHost[a.host] > l.perHost[b.host]
	}
	return a.since.Before(b.since)
}

// forget must be called with the mutex held.
func (l *listener) forget(c *conn) {
	if !l.conns[c] {
		return
	}
	delete(l.conns, c)
	if l.perHost[c.host]--; l.perHost[c.host] == 0 {
		delete(l.perHost, c.host)
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.l.mu.Lock()
	c.l.forget(c)
	c.l.mu.Unlock()
	return c.Conn.Close()
}

func (c *conn) begin() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.requests++; c.requests == 1 {
		c.since = time.Now()
	}
}

func (c *conn) end() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.requests--; c.requests == 0 {
		c.since = time.Now()
	}
}
