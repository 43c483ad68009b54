package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	neturl "net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

const (
	// maxAnswer is how much of the text of an answer is read, in bytes, and
	// maxQuote how much of that an error quotes, in characters.
	maxAnswer = 64 << 10
	maxQuote  = 300
	// maxAnswerHeader is how big the header of an answer may be.
	maxAnswerHeader = 64 << 10
	// answerTimeout is how long the text of an answer may take once its status is
	// known: the status has decided.
	answerTimeout = time.Second
	// maxRetryAfter is the longest wait that a server gets by asking for it: a
	// wrong date must not silence a receiver for ever.
	maxRetryAfter = time.Hour
	// minSecretSegment is from which length on a part of a URL's path is taken for
	// a token.
	minSecretSegment = 16
)

// Poster sends requests on behalf of one delivery. Every delivery has its own, so
// that files are read anew, and closes it.
type Poster struct {
	who     string
	agent   string
	timeout time.Duration
	client  *http.Client
}

// NewPoster reads the files that c names. who begins the errors: `slack receiver
// "chat"`.
func NewPoster(who string, c HTTPConfig, id Identity) (*Poster, error) {
	t, err := c.TLS.load()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", who, err)
	}
	return &Poster{
		who: who, agent: strings.TrimSuffix("supernats/"+strings.Map(agentRune, id.Version), "/"), timeout: time.Duration(c.Timeout),
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

// Close closes the connections.
func (p *Poster) Close() { p.client.CloseIdleConnections() }

// Post is one request.
type Post struct {
	URL string
	// URLKey is the key of the configuration that has it, AuthKey that of the
	// credentials, if they are not in the URL, and BodyKey that to look at when the
	// other side does not like what it got, if there is one.
	URLKey, AuthKey, BodyKey string
	// Body is what becomes JSON.
	Body any
	// Secrets are texts that no error may show. URLs are among them anyway.
	Secrets []string
	// RetryAfter finds in an answer how long to wait, where it is not in a header;
	// may be nil.
	RetryAfter func(body []byte) time.Duration
	// Accepted decides about an answer 2xx by what the service documents as success,
	// and returns nil for one. If it is nil, 2xx is one, but for a page that asks to
	// log in. No page is a success where it is not nil.
	Accepted func(Answer) *Refusal

	header http.Header
}

// SetHeader sets a header of the request.
func (p *Post) SetHeader(name, value string) {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
}

// SetBasicAuth adds credentials.
func (p *Post) SetBasicAuth(username, password string) {
	encoded := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	p.SetHeader("Authorization", "Basic "+encoded)
	p.Secrets = append(p.Secrets, password, encoded)
}

// SetBearer adds a token.
func (p *Post) SetBearer(token string) {
	p.SetHeader("Authorization", "Bearer "+token)
	p.Secrets = append(p.Secrets, token)
}

// Do sends the request and returns nil when the answer is 2xx and Accepted by its
// text. It returns within the time-out, and sooner if ctx ends. Where the text does
// not decide, it changes nothing that it waits or comes without end.
//
// Errors name the receiver, the server without the path of its URL, what was
// answered and the key to look at. They may pass, but for answers 3xx and 4xx
// other than 408, 425 and 429, which are Permanent. A Retry-After with 429 or 5xx
// is honoured up to an hour (RetryAfter). An error without a connection is an
// Outage. A redirect is not followed.
func (p *Poster) Do(ctx context.Context, r Post) error {
	body, err := encode(r.Body)
	if err != nil {
		return Permanent(fmt.Errorf("%s: write JSON: %w", p.who, err))
	}
	u, err := neturl.Parse(r.URL)
	if err != nil || ValidateURL(r.URLKey, r.URL) != nil {
		return Outage(fmt.Errorf("%s: %w", p.who, ValidateURL(r.URLKey, r.URL)))
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return Outage(fmt.Errorf("%s: %s cannot be used", p.who, r.URLKey))
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", p.agent)
	answer, err := p.client.Do(req)
	if err != nil {
		err = p.unanswered(ctx, err, r, u)
		if !connected.Load() {
			// Also no TLS: the other side knows nothing of what would have come.
			return Outage(err)
		}
		return err
	}
	defer answer.Body.Close()
	// Even of a success the text is read: else the connection cannot be used again.
	// Where it decides, it has all the time there is.
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

// encode writes JSON without escapes for HTML, which people would see in the logs
// of the other side.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// refused is the error of an answer other than 2xx.
func (p *Poster) refused(answer *http.Response, text []byte, r Post, u *neturl.URL) error {
	code := answer.StatusCode
	what := "answered " + strings.TrimSpace(strconv.Itoa(code)+" "+http.StatusText(code))
	if s := quote(string(text), r, u); s != "" {
		what += ": " + s
	}
	key := r.URLKey
	switch {
	case code/100 == 3:
		// Only where to, not the path: it may repeat the token.
		what = "answered " + strconv.Itoa(code) + ", a redirect"
		if code == http.StatusFound || code == http.StatusSeeOther || code == http.StatusTemporaryRedirect {
			what += " (does a proxy ask for a login?)"
		}
		what += ", which is not followed"
		if to, err := answer.Location(); err == nil {
			what += " (to " + wording.Clip(origin(to), wording.MaxName) + ")"
		}
	case (code == http.StatusUnauthorized || code == http.StatusForbidden) && r.AuthKey != "":
		key = r.AuthKey
	case (code == http.StatusBadRequest || code == http.StatusRequestEntityTooLarge || code == http.StatusUnprocessableEntity) && r.BodyKey != "":
		key = r.BodyKey
	case code == http.StatusTooManyRequests:
		key = "whether others use it too"
	case code >= 500:
		key = "the server's log, and " + r.URLKey
	}
	err := p.fail(u, what, key, nil)
	switch {
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return err
	case code == http.StatusTooManyRequests, code >= 500:
		if wait := retryAfter(answer.Header.Get("Retry-After"), time.Now()); wait > 0 {
			return After(wait, err)
		}
		if r.RetryAfter != nil {
			if wait := min(r.RetryAfter(text), maxRetryAfter); wait > 0 {
				return After(wait, err)
			}
		}
		return err
	}
	return Permanent(err)
}

// retryAfter reads the header Retry-After: seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if s, err := strconv.ParseFloat(value, 64); err == nil {
		// Seconds with a fraction are not allowed, and sent all the same.
		return Seconds(s)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// Seconds is a wait that a server asks for, 0 to an hour.
func Seconds(s float64) time.Duration {
	if !(s > 0) { // nor is NaN
		return 0
	}
	return time.Duration(min(s, maxRetryAfter.Seconds()) * float64(time.Second))
}

// unanswered is the error of a request that got no answer.
func (p *Poster) unanswered(ctx context.Context, err error, r Post, u *neturl.URL) error {
	var wrapped *neturl.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return p.fail(u, "cancelled while waiting for the server", "", ctx.Err())
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return p.fail(u, "no answer in time (timeout: "+schema.Duration(p.timeout).String()+")", r.URLKey+" and timeout", context.DeadlineExceeded)
	}
	return p.fail(u, quote(err.Error(), r, u), advice(err, r), nil)
}

// advice names the key to look at for an error without an answer.
func advice(err error, r Post) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		dns       *net.DNSError
	)
	switch {
	case errors.As(err, &hostname):
		return r.URLKey + " (" + WrongName(hostname) + ")"
	case errors.As(err, &authority), errors.As(err, &verify):
		return "tls.ca (the certificate is signed by nobody trusted, or out of date)"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return r.URLKey + " (the server does not speak TLS; http?)"
	case strings.Contains(err.Error(), "tls: "):
		return "tls"
	case errors.As(err, &dns):
		return r.URLKey + ", and the name server"
	}
	return r.URLKey + ", and whether the server runs"
}

// WrongName says why a certificate is not one for the server's name.
func WrongName(err x509.HostnameError) string {
	if c := err.Certificate; c != nil && len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses)+len(c.URIs) == 0 {
		entry := "DNS:" + err.Host
		if net.ParseIP(strings.Trim(err.Host, "[]")) != nil {
			entry = "IP:" + err.Host
		}
		return "the certificate has no subjectAltName (SAN), and its common name " + strconv.Quote(wording.Clip(c.Subject.CommonName, wording.MaxName)) +
			" does not count; have it issued with subjectAltName=" + entry
	}
	return "the certificate is made out to another name"
}

// postError has a text of its own: those of net/http quote the URL.
type postError struct {
	text  string
	cause error
}

func (e *postError) Error() string { return e.text }

func (e *postError) Unwrap() error { return e.cause }

func (p *Poster) fail(u *neturl.URL, what, check string, cause error) error {
	text := p.who + " at " + origin(u) + ": " + what
	if check != "" {
		text += "; check " + check
	}
	return &postError{text, cause}
}

// origin is what of a URL is no secret.
func origin(u *neturl.URL) string { return u.Scheme + "://" + u.Host }

// quote makes a text of the other side one visible line without secrets.
func quote(text string, r Post, u *neturl.URL) string {
	secrets := append([]string{r.URL, u.RequestURI(), u.EscapedPath()}, r.Secrets...)
	for segment := range strings.SplitSeq(u.Path, "/") {
		if len(segment) >= minSecretSegment {
			secrets = append(secrets, segment)
		}
	}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, password, base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	for _, s := range secrets {
		if len(s) > 3 { // a path "/" is no secret, nor is "true"'s beginning
			text = strings.ReplaceAll(text, s, "<secret>")
		}
	}
	return wording.Clip(strings.Join(strings.Fields(text), " "), maxQuote)
}

func agentRune(r rune) rune {
	if r <= ' ' || r >= 0x7f {
		return '_'
	}
	return r
}
