package post

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

const (
	// maxQuote is how much of an answer an error quotes, in characters.
	maxQuote = 300
	// maxRetryAfter is the longest wait that a server gets by asking for it: a wrong date
	// must not silence a receiver for ever.
	maxRetryAfter = time.Hour
	// minSecretSegment is from which length on a part of a URL's path is taken for a token.
	minSecretSegment = 16
)

// postError has a text of its own: those of net/http quote the URL.
type postError struct {
	text  string
	cause error
}

func (e *postError) Error() string { return e.text }

func (e *postError) Unwrap() error { return e.cause }

// requestError is the error of a request; check names the key.
func (p *Poster) requestError(u *neturl.URL, what, check string, cause error) error {
	text := p.who + " at " + origin(u) + ": " + what
	if check != "" {
		text += "; check " + check
	}
	return &postError{text, cause}
}

// refused is the error of an answer other than 2xx.
func (p *Poster) refused(answer *http.Response, text []byte, r Request, u *neturl.URL) error {
	code := answer.StatusCode
	what := statusText(code)
	if code/100 == 3 {
		what = redirectText(answer)
	} else if s := quote(string(text), r, u); s != "" {
		what += ": " + s
	}

	err := p.requestError(u, what, refusedKey(code, r), nil)
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		return notify.Permanent(notify.Denied(err))
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return err
	case code == http.StatusTooManyRequests, code >= 500:
		if wait := waitFor(answer.Header, text, r); wait > 0 {
			return notify.After(wait, err)
		}
		return err
	}
	return notify.Permanent(err)
}

// statusText is "answered 404 Not Found".
func statusText(code int) string {
	return "answered " + strings.TrimSpace(strconv.Itoa(code)+" "+http.StatusText(code))
}

// redirectText says where a redirect points, without the path: it may repeat the token.
func redirectText(answer *http.Response) string {
	s := "answered " + strconv.Itoa(answer.StatusCode) + ", a redirect"
	switch answer.StatusCode {
	case http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
		s += " (does a proxy ask for a login?)"
	}
	s += ", which is not followed"
	if to, err := answer.Location(); err == nil {
		s += " (to " + wording.Clip(origin(to), wording.MaxName) + ")"
	}
	return s
}

// refusedKey is what to check after an answer other than 2xx.
func refusedKey(code int, r Request) string {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		if r.AuthKey != "" {
			return r.AuthKey
		}
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		if r.BodyKey != "" {
			return r.BodyKey
		}
	case http.StatusTooManyRequests:
		return "whether others use it too"
	}
	if code >= 500 {
		return "the server's log, and " + r.URLKey
	}
	return r.URLKey
}

// waitFor is how long an answer asks to wait, 0 if it does not.
func waitFor(header http.Header, text []byte, r Request) time.Duration {
	if wait := retryAfter(header.Get("Retry-After"), time.Now()); wait > 0 || r.RetryAfter == nil {
		return wait
	}
	return min(r.RetryAfter(text), maxRetryAfter)
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
func (p *Poster) unanswered(ctx context.Context, err error, r Request, u *neturl.URL) error {
	var wrapped *neturl.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL
	}

	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return p.requestError(u, "cancelled while waiting for the server", "", ctx.Err())
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		what := "no answer in time (timeout: " + schema.Duration(p.timeout).String() + ")"
		return p.requestError(u, what, r.URLKey+" and timeout", context.DeadlineExceeded)
	}
	return p.requestError(u, quote(err.Error(), r, u), advice(err, r), nil)
}

// advice names the key to check after an error without an answer.
func advice(err error, r Request) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		dns       *net.DNSError
	)

	switch {
	case errors.As(err, &hostname):
		return r.URLKey + " (" + notify.WrongName(hostname) + ")"
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

// origin is what of a URL is no secret.
func origin(u *neturl.URL) string { return u.Scheme + "://" + u.Host }

// quote makes a text of the other side one visible line without secrets.
func quote(text string, r Request, u *neturl.URL) string {
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
		basic := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		secrets = append(secrets, password, basic)
	}

	for _, s := range secrets {
		if len(s) > 3 { // a path "/" is no secret, nor is "true"'s beginning
			text = strings.ReplaceAll(text, s, "<secret>")
		}
	}
	return wording.Clip(strings.Join(strings.Fields(text), " "), maxQuote)
}
