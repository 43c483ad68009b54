package watchdog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	neturl "net/url"
	"time"
)

// reachTimeout is how long a try may take.
const reachTimeout = 5 * time.Second

// Reach tries whether the address can be reached: a connection, and its certificate if there
// is one. It sends no request, since each one would be a ping. Behind a proxy only that is
// tried. Its errors do not quote the address, which is a secret.
func (s Settings) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	address, err := s.URL.Reveal("url", s.URLFile)
	if err != nil {
		return err
	}
	u, err := neturl.Parse(address)
	if err != nil || u.Hostname() == "" {
		return errors.New("url: not a URL")
	}
	config, err := s.TLS.Load()
	if err != nil {
		return err
	}

	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	if err != nil {
		return errors.New("https_proxy: not a URL")
	}
	to := u
	if proxy != nil {
		to = proxy
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(to.Hostname(), portOf(to)))
	if err != nil {
		return err
	}
	defer conn.Close()
	if proxy != nil || u.Scheme != "https" {
		return nil
	}

	config.ServerName = u.Hostname()
	if err := tls.Client(conn, config).HandshakeContext(ctx); err != nil {
		return fmt.Errorf("its certificate or TLS: %w", err)
	}
	return nil
}

func portOf(u *neturl.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
