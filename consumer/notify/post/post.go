// Package post sends notifications as JSON by HTTP. A Posting makes a receiver of an address
// and a body; a Poster sends one request, and judges the answer by what the service documents
// as success: a 2xx of a proxy that asks to log in is none.
//
// Under pressure: a request has one time limit, an answer is read up to 64 KiB, and nothing is
// retried here. A server that asks for a pause gets an hour at most. No error shows a secret:
// neither the URL's path, nor a header, nor what an answer repeats of them.
package post

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	neturl "net/url"
	"strings"
	"sync/atomic"
	"time"

	"supernats/consumer/notify"
)

const (
	// maxAnswer is how much of the text of an answer is read, in bytes.
	maxAnswer = 64 << 10
	// maxAnswerHeader is how big the header of an answer may be.
	maxAnswerHeader = 64 << 10
	// answerTimeout is how long the text of an answer may take once its status is known
	// and has decided.
	answerTimeout = time.Second
)

// Poster sends requests on behalf of one delivery. Every delivery has its own, which it
// closes, so that files are read again.
type Poster struct {
	who     string
	agent   string
	timeout time.Duration
	client  *http.Client
}

// NewPoster reads the files that c names. who begins the errors: `slack receiver "chat"`.
func NewPoster(who string, c HTTPConfig, id notify.Identity) (*Poster, error) {
	t, err := c.TLS.Load()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", who, err)
	}

	return &Poster{
		who:     who,
		agent:   strings.TrimSuffix("supernats/"+strings.Map(agentRune, id.Version), "/"),
		timeout: time.Duration(c.Timeout),
		client: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: t, ForceAttemptHTTP2: true,
				MaxResponseHeaderBytes: maxAnswerHeader, DisableCompression: true,
			},
			// A redirect would take the secrets along, to wherever it points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// agentRune keeps a version from breaking the header User-Agent.
func agentRune(r rune) rune {
	if r <= ' ' || r >= 0x7f {
		return '_'
	}
	return r
}

// Close closes the connections.
func (p *Poster) Close() { p.client.CloseIdleConnections() }

// Request is one request of a Poster.
type Request struct {
	URL string
	// URLKey is the key of the configuration that has the URL, AuthKey that of the
	// credentials, if they are not in the URL, and BodyKey that to check when the other
	// side does not like what it got, if there is one.
	URLKey, AuthKey, BodyKey string
	// Body is what becomes JSON.
	Body any
	// Secrets are texts that no error may show. URLs are among them anyway.
	Secrets []string
	// RetryAfter finds in an answer how long to wait, where it is not in a header; may be
	// nil.
	RetryAfter func(body []byte) time.Duration
	// Accepted decides about an answer 2xx by what the service documents as success, and
	// returns nil for one. If it is nil, 2xx is one, but for a page that asks to log in.
	// No page is a success where it is not nil.
	Accepted func(Answer) *Refusal

	header http.Header
}

// SetHeader sets a header of the request.
func (p *Request) SetHeader(name, value string) {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
}

// SetBasicAuth adds credentials.
func (p *Request) SetBasicAuth(username, password string) {
	encoded := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	p.SetHeader("Authorization", "Basic "+encoded)
	p.Secrets = append(p.Secrets, password, encoded)
}

// SetBearer adds a token.
func (p *Request) SetBearer(token string) {
	p.SetHeader("Authorization", "Bearer "+token)
	p.Secrets = append(p.Secrets, token)
}

// Do sends the request and returns nil when the answer is 2xx and Accepted by its text. It
// returns within the time limit, and sooner if ctx ends. Where the text does not decide, a
// text that is slow or endless changes nothing.
//
// Errors name the receiver, the server without the path of its URL, what was answered and
// the key to check. They may pass, but for answers 3xx and 4xx other than 408, 425 and 429,
// which are Permanent. A Retry-After with 429 or 5xx is honoured up to an hour (RetryAfter).
// An error without a connection is an Outage. A redirect is not followed.
func (p *Poster) Do(ctx context.Context, r Request) error {
	u, err := neturl.Parse(r.URL)
	if err != nil || ValidateURL(r.URLKey, r.URL) != nil {
		return notify.Outage(fmt.Errorf("%s: %w", p.who, ValidateURL(r.URLKey, r.URL)))
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req, err := p.request(httptrace.WithClientTrace(ctx, trace), r)
	if err != nil {
		return err
	}

	answer, err := p.client.Do(req)
	if err != nil {
		err = p.unanswered(ctx, err, r, u)
		if !connected.Load() {
			// Also no TLS: the other side knows nothing of what would have come.
			return notify.Outage(err)
		}
		return err
	}
	defer answer.Body.Close()

	// The text of a success is read too: else the connection cannot be used again. Where
	// it decides, it has all the time there is.
	if answer.StatusCode/100 != 2 || r.Accepted == nil {
		late := time.AfterFunc(answerTimeout, cancel)
		defer late.Stop()
	}
	text, cut := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode/100 == 2 {
		return p.accepted(answer, text, cut, r, u)
	}
	return p.refused(answer, text, r, u)
}

// request makes the request of HTTP.
func (p *Poster) request(ctx context.Context, r Request) (*http.Request, error) {
	body, err := encode(r.Body)
	if err != nil {
		return nil, notify.Permanent(fmt.Errorf("%s: write JSON: %w", p.who, err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return nil, notify.Outage(fmt.Errorf("%s: %s cannot be used", p.who, r.URLKey))
	}

	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", p.agent)
	return req, nil
}

// encode writes JSON without escapes for HTML, which people would see in the logs of the
// other side.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
