// Package httplimit keeps an HTTP address answering, however many clients connect to it.
//
// The number of connections is bounded. At the bound a new connection does not wait, as
// with a plain limit, where half-open connections hold all places until they time out.
// Instead, the connection with the least to lose is closed: one that waits for a request,
// of the host that has most connections, the oldest first. A connection whose request is
// being answered is closed only after Patience. If there is none to close, the new one is
// closed at once.
package httplimit

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Patience is how long a request may take before its connection may be closed for a new
// one: a client that reads nothing holds its place no longer.
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

// logEvery is the least time between two log lines about connections that were closed.
const logEvery = time.Minute

// Apply sets the limits of a server, which then logs to log. It returns the listener to
// serve, which holds up to most connections.
func Apply(server *http.Server, l net.Listener, most int, log *slog.Logger) net.Listener {
	server.ReadHeaderTimeout = headerTimeout
	server.ReadTimeout = readTimeout
	server.WriteTimeout = writeTimeout
	server.IdleTimeout = idleTimeout
	server.MaxHeaderBytes = maxHeaderBytes
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)

	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(key{}).(*conn); ok {
			c.beginRequest()
			defer c.endRequest()
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

// key is the key of the connection in the context of a request.
type key struct{}

// listener accepts connections and keeps a list of them.
type listener struct {
	net.Listener
	most int
	log  *slog.Logger

	// mu guards the fields below, and those of every conn.
	mu    sync.Mutex
	conns map[*conn]bool
	// perHost counts the connections of each host.
	perHost map[string]int
	// closed is how many were closed for want of room since logged.
	closed int
	logged time.Time
}

// conn is a connection of a listener.
type conn struct {
	net.Conn
	l    *listener
	host string
	// requests is how many are being answered; HTTP/2 has several at a time.
	requests int
	// since is when requests last changed from or to 0.
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
	if full {
		l.closed++
	}
	closed := l.closed
	due := full && c.since.Sub(l.logged) >= logEvery
	if due {
		l.closed = 0
		l.logged = c.since
	}
	l.mu.Unlock()

	if due {
		l.log.Warn("more connections than are served at once: those that wait longest for a request are closed",
			"limit", l.most, "closed", closed, "from", host)
	}
	if victim != nil {
		_ = victim.Close()
	}
	return c, !full || victim != nil
}

// leastToLose returns the connection to close, nil if there is none, and forgets it.
func (l *listener) leastToLose(now time.Time) (victim *conn) {
	for c := range l.conns {
		if c.requests > 0 && now.Sub(c.since) < Patience {
			continue
		}
		if victim == nil || l.closesBefore(c, victim) {
			victim = c
		}
	}
	if victim != nil {
		l.forget(victim)
	}
	return victim
}

// closesBefore reports whether a is closed rather than b.
func (l *listener) closesBefore(a, b *conn) bool {
	if waiting := a.requests == 0; waiting != (b.requests == 0) {
		return waiting
	}
	if l.perHost[a.host] != l.perHost[b.host] {
		return l.perHost[a.host] > l.perHost[b.host]
	}
	return a.since.Before(b.since)
}

// forget removes a connection from the list. The caller holds mu.
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

func (c *conn) beginRequest() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.requests++; c.requests == 1 {
		c.since = time.Now()
	}
}

func (c *conn) endRequest() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.requests--; c.requests == 0 {
		c.since = time.Now()
	}
}
