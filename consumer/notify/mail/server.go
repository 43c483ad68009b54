package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"supernats/schema/secretfile"
)

// slowest is the speed in bytes a second with which a mail may be on its way.
const slowest = 64 << 10

// server is how a mail server is reached. It is set once and shared by all recipients of
// a section.
type server struct {
	// host is in ASCII.
	host string
	port int
	// mode is one of the values of the key tls.
	mode    string
	hello   string
	timeout time.Duration

	// dial is the real one except in tests.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func newServer(s *settings, instance string) *server {
	return &server{
		host: s.host, port: s.port, mode: s.cfg.mode(), hello: helloName(s.cfg.Hello, instance),
		timeout: time.Duration(s.cfg.Timeout), dial: (&net.Dialer{}).DialContext,
	}
}

// timeoutFor is how long a mail of a size in bytes may take.
func (s *server) timeoutFor(size int64) time.Duration {
	return s.timeout + time.Duration(size/slowest)*time.Second
}

// isPrivate reports whether nobody on the way can read what is sent: there is TLS, or no
// way.
func (s *server) isPrivate() bool { return s.mode != TLSNone || isLoopback(s.host) }

// options are those of go-mail that follow the configuration.
func (s *server) options(tlsConfig *tls.Config) []gomail.Option {
	options := []gomail.Option{
		gomail.WithPort(s.port),
		gomail.WithHELO(s.hello),
		gomail.WithTLSConfig(tlsConfig),
		// NOOP and RSET are for connections that are used again. A failed RSET after an
		// accepted mail would look like a failed mail.
		gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	switch s.mode {
	case TLSImplicit:
		options = append(options, gomail.WithSSL())
	case TLSStartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case TLSNone:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	return options
}

// helloName is the first of the three that may follow EHLO.
func helloName(configured, instance string) string {
	if configured != "" {
		return configured
	}
	if validHello(instance) {
		return instance
	}
	if name, err := os.Hostname(); err == nil && validHello(name) {
		return name
	}
	return "localhost"
}

// tlsConfig reads ca_file.
func (c Config) tlsConfig(host string) (*tls.Config, error) {
	roots, err := c.authorities()
	if err != nil {
		return nil, err
	}
	return &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// authorities are those of ca_file, nil for the system's.
func (c Config) authorities() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}

	b, err := secretfile.Bytes(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("ca_file: %s holds no certificate in PEM", c.CAFile)
	}
	return pool, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
