package natsconn

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	neturl "net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/util"
)

// infoWait is how long a server may take to speak first. One that expects TLS before
// anything else (handshake_first, or a load balancer in front of it) says nothing, and
// gives up after 2 s.
const infoWait = time.Second

// findTLSFirst is an option that finds out for each connection whether TLS comes first, if
// the URLs or the other options ask for TLS at all. It must be the last option, because it
// dials as the others say.
func findTLSFirst(urls string) nats.Option {
	return func(o *nats.Options) error {
		isAsked := o.TLSConfig != nil || o.Secure || strings.Contains(urls, "tls://")
		if !isAsked || o.TLSHandshakeFirst || o.InProcessServer != nil || isWebsocket(urls) {
			return nil
		}
		d := &tlsDialer{options: o, names: hostnames(urls), inner: o.CustomDialer}
		if d.inner == nil {
			d.inner = &net.Dialer{Timeout: o.Timeout}
		}
		o.CustomDialer = d
		o.SkipHostLookup = true
		return nil
	}
}

func isWebsocket(urls string) bool {
	return strings.HasPrefix(urls, "ws://") || strings.HasPrefix(urls, "wss://")
}

// tlsDialer dials, and makes the TLS handshake if the server waits for it. A connection is
// dialled by one goroutine at a time.
type tlsDialer struct {
	options *nats.Options // only those of TLS are read
	inner   nats.CustomDialer
	names   []string // the configured hostnames
	// first says that the last connection has TLS already.
	first bool
}

// SkipTLSHandshake tells nats.go whether the handshake has been made.
func (d *tlsDialer) SkipTLSHandshake() bool { return d.first }

func (d *tlsDialer) Dial(network, address string) (net.Conn, error) {
	d.first = false
	conn, err := d.inner.Dial(network, address)
	if err != nil {
		return nil, err
	}

	byte1 := make([]byte, 1)
	_ = conn.SetReadDeadline(time.Now().Add(infoWait))
	n, err := conn.Read(byte1)
	_ = conn.SetReadDeadline(time.Time{})
	switch {
	case n == 1:
		return &begunConn{conn, byte1}, nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errors.Join(err, conn.Close())
	}

	secure, err := d.handshake(conn, address)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	d.first = true
	return secure, nil
}

// handshake does what nats.go does with its options of TLS.
func (d *tlsDialer) handshake(conn net.Conn, address string) (net.Conn, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.options.TLSConfig != nil {
		c = util.CloneTLSConfig(d.options.TLSConfig)
	}

	if d.options.TLSCertCB != nil {
		cert, err := d.options.TLSCertCB()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	if d.options.RootCAsCB != nil {
		pool, err := d.options.RootCAsCB()
		if err != nil {
			return nil, err
		}
		c.RootCAs = pool
	}
	if c.ServerName == "" {
		c.ServerName = d.serverName(address)
	}

	ctx, cancel := context.WithTimeout(context.Background(), d.options.Timeout)
	defer cancel()
	secure := tls.Client(conn, c)
	return secure, secure.HandshakeContext(ctx)
}

// serverName is the name to expect in the certificate of the server at an address. Servers
// that were announced by others have an address only; their certificate names one of the
// configured hosts.
func (d *tlsDialer) serverName(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if net.ParseIP(host) == nil {
		return host
	}

	fallback := host
	for _, name := range d.names {
		if name == host {
			return host
		}
		if fallback == host && net.ParseIP(name) == nil {
			fallback = name
		}
	}
	return fallback
}

// hostnames returns the hostnames in a list of URLs.
func hostnames(urls string) (names []string) {
	for u := range strings.SplitSeq(urls, ",") {
		if !strings.Contains(u, "://") {
			u = "nats://" + u
		}
		if parsed, err := neturl.Parse(strings.TrimSpace(u)); err == nil && parsed.Hostname() != "" {
			names = append(names, parsed.Hostname())
		}
	}
	return names
}

// begunConn returns once more what was read from a connection.
type begunConn struct {
	net.Conn
	begun []byte
}

func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.begun) == 0 || len(p) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.begun)
	c.begun = c.begun[n:]
	return n, nil
}
