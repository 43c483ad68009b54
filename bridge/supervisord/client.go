// Package supervisord asks a supervisord over XML-RPC: its process table, its own log and
// the ends of its programs' logs.
//
// supervisord is one thread: while it answers it hands out no events. So every question
// is put for many processes at once (system.multicall), answers are bounded in size and
// time (Config), and no caller may wait for one before he answers supervisord as a
// listener. When supervisord is slow or gone a call ends with an error, after
// Config.Timeout or with its context; nothing is repeated and nothing is kept.
package supervisord

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Config is where a supervisord is found, and the limits of its answers.
type Config struct {
	// URL is what SUPERVISOR_SERVER_URL holds: unix:///path,
	// http://host:port or http://user:password@host:port, with or without
	// /RPC2.
	URL string
	// Username and Password are used unless the URL has its own. supervisord
	// gives them to no child; a listener's section may set
	// SUPERVISOR_USERNAME and SUPERVISOR_PASSWORD in its environment
	// (childutils.py getRPCTransport).
	Username, Password string
	// Timeout limits every call from the connection to the last byte; 10 s if
	// it is 0.
	Timeout time.Duration
	// MaxResponse is the size in bytes at which an answer is refused; 16 MiB if
	// it is 0.
	MaxResponse int64
}

const (
	defaultTimeout     = 10 * time.Second
	defaultMaxResponse = 16 << 20
)

// Client calls one supervisord. It may be used by several goroutines.
type Client struct {
	// Set once, by New.
	http        http.Client
	dial        func(context.Context) (net.Conn, error)
	url         string
	name        string // for errors: no password
	auth        string
	maxResponse int64

	// noMulticall is set once it is known that there is no system.multicall.
	noMulticall atomic.Bool
}

// New checks the settings; whether supervisord is there only a call shows.
func New(cfg Config) (*Client, error) {
	a, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout < 0 || cfg.MaxResponse < 0 {
		return nil, errors.New("time-out and size limit must not be negative")
	}

	c := &Client{url: a.url, name: a.name, maxResponse: cmp.Or(cfg.MaxResponse, defaultMaxResponse)}
	c.http.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	user, password := cfg.Username, cfg.Password
	if a.user != "" {
		user, password = a.user, a.password
	}
	if user != "" {
		c.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}

	network, address := "tcp", hostPort(a.url)
	if a.socket != "" {
		network, address = "unix", a.socket
	}
	c.dial = func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}

	transport := &http.Transport{
		// Calls are seconds apart, a connection costs less than one descriptor
		// more in each of supervisord's polls, and a reload closes it anyway.
		DisableKeepAlives: true,
	}
	if a.socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }
	}
	c.http.Transport = transport
	// A redirect would send the password elsewhere; supervisord has none.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}
