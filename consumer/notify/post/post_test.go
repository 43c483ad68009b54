package post_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/consumer/notify/post"
	"supernats/schema"
	"supernats/schema/secretfile"
)

const (
	who    = `slack receiver "chat"`
	secret = "c0rrecth0rsebatterystaple"
)

func poster(t *testing.T, c post.HTTPConfig) *post.Poster {
	t.Helper()
	p, err := post.NewPoster(who, c.WithDefaults(), notify.Identity{Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func request(url string) post.Request {
	return post.Request{URL: url, URLKey: "url_file", AuthKey: "basic_auth", BodyKey: "max_length", Body: map[string]string{"text": "<hello>"}}
}

// do posts to a server that answers as the test wants.
func do(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) error {
	t.Helper()
	s := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, r *http.Request) { answer(w, r) })
	return check(t, poster(t, post.HTTPConfig{}).Do(t.Context(), request(s.URL+"/hook/"+secret)))
}

// check checks what is the same for all errors.
func check(t *testing.T, err error) error {
	t.Helper()
	if err == nil {
		return nil
	}
	if text := err.Error(); strings.Contains(text, "c0rrect") || !strings.HasPrefix(text, who+" at http") || !strings.Contains(text, "; check ") {
		t.Errorf("error shows a secret, or not who, where and what to check: %v", err)
	}
	return err
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status    int
		permanent bool
		want      string // end of the error; "" for no error
	}{
		{status: 200, permanent: false, want: ""},
		{status: 201, permanent: false, want: ""},
		{status: 202, permanent: false, want: ""},
		{status: 204, permanent: false, want: ""},
		{status: 301, permanent: true, want: "answered 301, a redirect, which is not followed (to https://elsewhere.example.com); check url_file"},
		{status: 302, permanent: true, want: "which is not followed (to https://elsewhere.example.com); check url_file"},
		{status: 307, permanent: true, want: "which is not followed (to https://elsewhere.example.com); check url_file"},
		{status: 308, permanent: true, want: "which is not followed (to https://elsewhere.example.com); check url_file"},
		{status: 400, permanent: true, want: "answered 400 Bad Request: no_text a b; check max_length"},
		{status: 401, permanent: true, want: "answered 401 Unauthorized: no_text a b; check basic_auth"},
		{status: 403, permanent: true, want: "answered 403 Forbidden: no_text a b; check basic_auth"},
		{status: 404, permanent: true, want: "answered 404 Not Found: no_text a b; check url_file"},
		{status: 408, permanent: false, want: "answered 408 Request Timeout: no_text a b; check url_file"},
		{status: 410, permanent: true, want: "answered 410 Gone: no_text a b; check url_file"},
		{status: 413, permanent: true, want: "answered 413 Request Entity Too Large: no_text a b; check max_length"},
		{status: 425, permanent: false, want: "answered 425 Too Early: no_text a b; check url_file"},
		{status: 429, permanent: false, want: "answered 429 Too Many Requests: no_text a b; check whether others use it too"},
		{status: 500, permanent: false, want: "answered 500 Internal Server Error: no_text a b; check the server's log, and url_file"},
		{status: 503, permanent: false, want: "check the server's log, and url_file"},
		{status: 599, permanent: false, want: "answered 599: no_text a b; check the server's log, and url_file"},
	} {
		err := do(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example.com/hook/"+secret)
			w.WriteHeader(c.status)
			if c.status != http.StatusNoContent {
				_, _ = io.WriteString(w, "no_text\r\na\tb\n")
			}
		})
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), c.want)):
			t.Errorf("%d: error is %v, want %q", c.status, err, c.want)
		case notify.IsPermanent(err) != c.permanent:
			t.Errorf("%d: permanent is %t: %v", c.status, notify.IsPermanent(err), err)
		}
	}
}

// TestRedirect: nobody else gets the secrets.
func TestRedirect(t *testing.T) {
	other := notifytest.Serve(t, notifytest.Accept)
	for _, code := range []int{301, 302, 303, 307, 308} {
		err := do(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, code) })
		if !notify.IsPermanent(err) {
			t.Errorf("%d: %v", code, err)
		}
	}
	if n := len(other.Requests()); n != 0 {
		t.Errorf("followed %d times", n)
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		status   int
		header   string
		min, max time.Duration
	}{
		{status: 429, header: "7", min: 7 * time.Second, max: 7 * time.Second},
		{status: 503, header: "7", min: 7 * time.Second, max: 7 * time.Second},
		{status: 429, header: "0.5", min: 500 * time.Millisecond, max: 500 * time.Millisecond},
		{status: 429, header: time.Now().Add(time.Minute).UTC().Format(http.TimeFormat), min: 50 * time.Second, max: time.Minute},
		{status: 429, header: time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat), min: 0, max: 0},
		{status: 429, header: "999999999999999999999999", min: time.Hour, max: time.Hour},
		{status: 429, header: "Fri, 31 Dec 9999 23:59:59 GMT", min: time.Hour, max: time.Hour},
		{status: 429, header: "-1", min: 0, max: 0},
		{status: 429, header: "NaN", min: 0, max: 0},
		{status: 429, header: "soon", min: 0, max: 0},
		{status: 429, header: "", min: 0, max: 0},
		{status: 404, header: "7", min: 0, max: 0},
		{status: 408, header: "7", min: 0, max: 0},
	} {
		err := do(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", c.header)
			w.WriteHeader(c.status)
		})
		if got, ok := notify.RetryAfter(err); err == nil || got < c.min || got > c.max || ok != (c.max > 0) {
			t.Errorf("%d %q: wait %s (%t), want %s to %s: %v", c.status, c.header, got, ok, c.min, c.max, err)
		}
	}
}

// TestSecrets: a server that repeats everything.
func TestSecrets(t *testing.T) {
	s := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, r *http.Request) {
		http.Error(w, r.URL.String()+" "+r.Header.Get("Authorization")+" "+r.Header.Get("X-Key")+" /hook/"+secret+" "+secret, http.StatusNotFound)
	})
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(secret+"2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, auth := range map[string]post.AuthConfig{
		"basic":  {BasicAuth: post.BasicAuth{Username: "me", Password: secret}},
		"file":   {BasicAuth: post.BasicAuth{Username: "me", PasswordFile: file}},
		"bearer": {BearerTokenFile: file},
		"header": {Headers: map[string]secretfile.Secret{"X-Key": secret}},
	} {
		r := request(strings.Replace(s.URL, "http://", "http://me:"+secret+"@", 1) + "/hook/" + secret + "?key=" + secret)
		if err := auth.Apply(&r); err != nil {
			t.Fatal(err)
		}
		err := check(t, poster(t, post.HTTPConfig{}).Do(t.Context(), r))
		if err == nil || !strings.Contains(err.Error(), "<secret>") || strings.Contains(err.Error(), "bWU6") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Server.Close()
	err := check(t, poster(t, post.HTTPConfig{}).Do(t.Context(), request(s.URL+"/hook/"+secret)))
	if err == nil || notify.IsPermanent(err) || !strings.Contains(err.Error(), "connection refused; check url_file, and whether the server runs") {
		t.Errorf("server is gone: %v", err)
	}
}

// TestAnswers: once there is a status, what else comes or does not come changes
// nothing.
func TestAnswers(t *testing.T) {
	for name, pause := range map[string]time.Duration{"drip": 10 * time.Millisecond, "flood": 0, "silent": time.Hour} {
		for _, status := range []int{200, 404} {
			done := make(chan struct{})
			start := time.Now()
			err := do(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				_ = http.NewResponseController(w).Flush()
				for {
					select {
					case <-r.Context().Done():
						return
					case <-done:
						return
					case <-time.After(pause):
					}
					if _, err := io.WriteString(w, strings.Repeat("x", 1000)); err != nil {
						return
					}
					_ = http.NewResponseController(w).Flush()
				}
			})
			close(done)
			if (err == nil) != (status == 200) || notify.IsPermanent(err) != (status == 404) || time.Since(start) > 8*time.Second {
				t.Errorf("%s, %d: after %s: %v", name, status, time.Since(start), err)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("error is %d bytes", len(err.Error()))
			}
		}
	}
}

func TestTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // nobody ever accepts
	c := post.HTTPConfig{Timeout: schema.Duration(50 * time.Millisecond)}
	for _, scheme := range []string{"http://", "https://"} {
		err := check(t, poster(t, c).Do(t.Context(), request(scheme+l.Addr().String()+"/"+secret)))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time (timeout: 50ms); check url_file and timeout") {
			t.Errorf("error is %v", err)
		}
	}
	// A batch that does not fit into the buffers of the connection.
	r := request("http://" + l.Addr().String())
	r.Body = strings.Repeat("x", 16<<20)
	if err := check(t, poster(t, c).Do(t.Context(), r)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}

func TestBadURL(t *testing.T) {
	for _, url := range []string{"", "c0rrect", "ftp://x/c0rrect", "http:///c0rrect", "http://x/%zzc0rrect", "http://x /c0rrect", "http://x\n/c0rrect"} {
		err := poster(t, post.HTTPConfig{}).Do(t.Context(), request(url))
		if err == nil || notify.IsPermanent(err) || strings.Contains(err.Error(), "c0rrect") || !strings.Contains(err.Error(), "url_file") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// writePEM makes a certificate and returns the names of its files.
func writePEM(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "supernats"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "CERTIFICATE", der), writeFile(t, "PRIVATE KEY", pkcs8)
}

func writeFile(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTLS(t *testing.T) {
	cert, key := writePEM(t)
	der, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(der)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it would report our handshakes
	s.StartTLS()
	defer s.Close()
	ca := writeFile(t, "CERTIFICATE", s.Certificate().Raw)
	byName := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	for _, c := range []struct {
		name, url string
		tls       post.TLSConfig
		want      string // in the error; "" for no error
	}{
		{name: "all right", url: s.URL, tls: post.TLSConfig{CA: ca, Cert: cert, Key: key}, want: ""},
		{name: "not trusted", url: s.URL, tls: post.TLSConfig{Cert: cert, Key: key}, want: "check tls.ca"},
		{name: "wrong name", url: byName, tls: post.TLSConfig{CA: ca, Cert: cert, Key: key}, want: "check url_file (the certificate is made out to another name)"},
		{name: "no certificate of ours", url: s.URL, tls: post.TLSConfig{CA: ca}, want: "check tls"},
		{name: "plain", url: strings.Replace(s.URL, "https", "http", 1), tls: post.TLSConfig{}, want: "answered 400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := check(t, poster(t, post.HTTPConfig{TLS: c.tls}).Do(t.Context(), request(c.url)))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
	t.Run("no TLS there", func(t *testing.T) {
		plain := notifytest.Serve(t, notifytest.Accept)
		err := check(t, poster(t, post.HTTPConfig{}).Do(t.Context(), request(strings.Replace(plain.URL, "http", "https", 1))))
		if err == nil || !strings.Contains(err.Error(), "check url_file (the server does not speak TLS; http?)") {
			t.Errorf("error is %v", err)
		}
	})
	for name, c := range map[string]struct {
		tls  post.TLSConfig
		want string
	}{
		"no file":   {tls: post.TLSConfig{CA: "/does/not/exist"}, want: "tls.ca: "},
		"directory": {tls: post.TLSConfig{CA: t.TempDir()}, want: "is no regular file"},
		"no PEM":    {tls: post.TLSConfig{CA: "post_test.go"}, want: "holds no certificate in PEM"},
		"no key":    {tls: post.TLSConfig{Cert: cert, Key: cert}, want: "tls.cert: "},
	} {
		if _, err := post.NewPoster(who, post.HTTPConfig{TLS: c.tls}, notify.Identity{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestHTTP2: the time limit and the size of an answer hold there too.
func TestHTTP2(t *testing.T) {
	done := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		}
		if r.URL.Path == "/silent" {
			<-done
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	defer close(done)
	c := post.HTTPConfig{TLS: post.TLSConfig{CA: writeFile(t, "CERTIFICATE", s.Certificate().Raw)}}
	p := poster(t, c)
	for range 3 {
		if err := p.Do(t.Context(), request(s.URL)); err != nil {
			t.Error(err)
		}
	}
	c.Timeout = schema.Duration(200 * time.Millisecond)
	if err := check(t, poster(t, c).Do(t.Context(), request(s.URL+"/silent"))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}
