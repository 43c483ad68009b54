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
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/kolo/xmlrpc"
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
	http        http.Client
	dial        func(context.Context) (net.Conn, error)
	url         string
	name        string // for errors: no password
	auth        string
	maxResponse int64
	noMulticall atomic.Bool
}

var (
	// ErrUnauthorized means that supervisord wants another user or password.
	ErrUnauthorized = errors.New("supervisord refuses the user or password")
	// ErrNotXMLRPC means that something else than supervisord's XML-RPC answers.
	ErrNotXMLRPC = errors.New("answer is not XML-RPC")
	// ErrTooLarge means that an answer was longer than MaxResponse.
	ErrTooLarge = errors.New("answer of supervisord is too large")
)

// Fault is supervisord's own word that a call cannot be answered.
type Fault struct {
	Code   int
	String string
}

// ShuttingDown reports that supervisord is stopping or restarting.
func (f *Fault) ShuttingDown() bool { return f.Code == FaultShutdownState }

func (f *Fault) Error() string {
	return fmt.Sprintf("supervisord answers fault %d: %s", f.Code, f.String)
}

// Codes of faults (xmlrpc.py, class Faults).
const (
	FaultUnknownMethod = 1
	// FaultShutdownState answers every call from the moment that supervisord
	// was told to stop or to restart (rpcinterface.py _update).
	FaultShutdownState = 6
	FaultBadName       = 10
	FaultNoFile        = 20
	FaultFailed        = 30
	// FaultAlreadyStarted answers startProcess.
	FaultAlreadyStarted = 60
)

// StatusError is an answer whose HTTP status is neither 200 nor 401.
type StatusError struct {
	Code int
}

func (e *StatusError) Error() string {
	if e.Code == http.StatusInternalServerError {
		// http.py logs the traceback; the usual one is a log with bytes that are
		// no UTF-8 (rpcinterface.py readLog, as_string).
		return "supervisord answers HTTP 500; its own log says why"
	}
	return fmt.Sprintf("supervisord answers HTTP %d %s", e.Code, http.StatusText(e.Code))
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
	c := &Client{url: a.url, name: a.name, maxResponse: cfg.MaxResponse}
	if c.maxResponse == 0 {
		c.maxResponse = defaultMaxResponse
	}
	c.http.Timeout = cfg.Timeout
	if c.http.Timeout == 0 {
		c.http.Timeout = defaultTimeout
	}
	user, password := cfg.Username, cfg.Password
	if a.user != "" {
		user, password = a.user, a.password
	}
	if user != "" {
		c.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	transport := &http.Transport{
		// Calls are seconds apart, a connection costs less than one descriptor
		// more in each of supervisord's polls, and a reload closes it anyway.
		DisableKeepAlives: true,
	}
	network, address := "tcp", hostPort(a.url)
	if a.socket != "" {
		network, address = "unix", a.socket
	}
	c.dial = func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	if a.socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }
	}
	c.http.Transport = transport
	// A redirect would send the password elsewhere; supervisord has none.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// call returns the value of one method: nil for an empty string, int64, string,
// bool, float64, []any or map[string]any. added is how many bytes longer its
// strings have become because they held what XML cannot. A fault is a *Fault.
func (c *Client) call(ctx context.Context, method string, args ...any) (value any, added int, err error) {
	body, err := c.post(ctx, method, args)
	if err != nil {
		return nil, 0, err
	}
	body, added = clean(body)
	if !looksLikeXMLRPC(body) {
		return nil, 0, fmt.Errorf("call %s at %s: %w: it begins with %.40q", method, c.name, ErrNotXMLRPC, body)
	}
	if err := bound(body); err != nil {
		return nil, 0, fmt.Errorf("call %s at %s: %w", method, c.name, err)
	}
	resp := xmlrpc.Response(body)
	if err := resp.Err(); err != nil {
		var fault xmlrpc.FaultError
		if errors.As(err, &fault) {
			return nil, 0, fmt.Errorf("call %s at %s: %w", method, c.name, &Fault{fault.Code, fault.String})
		}
		return nil, 0, fmt.Errorf("call %s at %s: %w: %w", method, c.name, ErrNotXMLRPC, err)
	}
	if err := resp.Unmarshal(&value); err != nil {
		return nil, 0, fmt.Errorf("call %s at %s: %w: %w", method, c.name, ErrNotXMLRPC, err)
	}
	return value, added, nil
}

// looksLikeXMLRPC tells an answer from the web page that supervisord shows at
// every other path, and from those of proxies.
func looksLikeXMLRPC(body []byte) bool {
	return bytes.Contains(body[:min(len(body), 200)], []byte("<methodResponse"))
}

func (c *Client) post(ctx context.Context, method string, args []any) ([]byte, error) {
	request, err := xmlrpc.EncodeMethodCall(method, args...)
	if err != nil {
		return nil, fmt.Errorf("encode call of %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(request))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", method, err)
	}
	req.Header.Set("Content-Type", "text/xml")
	if c.auth != "" {
		req.Header.Set("Authorization", c.auth)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(method, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, fmt.Errorf("call %s at %s: %w; set them in the server URL, or SUPERVISOR_USERNAME and SUPERVISOR_PASSWORD in environment= of the listener's section", method, c.name, ErrUnauthorized)
	default:
		return nil, fmt.Errorf("call %s at %s: %w", method, c.name, &StatusError{resp.StatusCode})
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.maxResponse+1))
	if err != nil {
		return nil, c.unreachable(method, err)
	}
	if int64(len(body)) > c.maxResponse {
		return nil, fmt.Errorf("call %s at %s: %w: more than %d bytes", method, c.name, ErrTooLarge, c.maxResponse)
	}
	return body, nil
}

// unreachable adds what an operator can do.
func (c *Client) unreachable(method string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "; is there a [unix_http_server] section, and is its file= this path?"
	case errors.Is(err, fs.ErrPermission):
		hint = "; chmod= or chown= of [unix_http_server] must let this user in"
	}
	return fmt.Errorf("call %s at %s: %w%s", method, c.name, err, hint)
}

// A question is one call among several.
type question struct {
	method string
	args   []any
}

// An answer is its value, or a *Fault.
type answer struct {
	value any
	err   error
}

// multicall puts several questions in one request. supervisord then turns into
// a fault of that question what would be HTTP 500 by itself (xmlrpc.py
// multicall), and answers bare values where others answer arrays of one.
func (c *Client) multicall(ctx context.Context, questions ...question) (answers []answer, added int, err error) {
	calls := make([]any, len(questions))
	for i, q := range questions {
		calls[i] = map[string]any{"methodName": q.method, "params": q.args}
	}
	value, added, err := c.call(ctx, "system.multicall", calls)
	if err != nil {
		return nil, 0, err
	}
	values, ok := value.([]any)
	if !ok || len(values) != len(questions) {
		return nil, 0, fmt.Errorf("call system.multicall at %s: %w: want an array of %d answers, got %.100v", c.name, ErrNotXMLRPC, len(questions), value)
	}
	answers = make([]answer, len(values))
	for i, v := range values {
		answers[i].value = v
		if m, ok := v.(map[string]any); ok {
			if code, ok := m["faultCode"]; ok {
				answers[i] = answer{err: &Fault{int(integer(code)), text(m["faultString"])}}
			}
		}
	}
	return answers, added, nil
}

// A nil any is what the codec makes of an empty string.

func text(v any) string {
	s, _ := v.(string)
	return s
}

func integer(v any) int64 {
	n, _ := v.(int64)
	return n
}
