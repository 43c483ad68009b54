package watchdog

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"supernats/consumer/notify/post"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/secretfile"
	"supernats/schema/stream/streamtest"
)

// expiredServer is one whose certificate has expired, with the authority that has signed it.
func expiredServer(t *testing.T, handler http.Handler) (s *httptest.Server, ca string) {
	t.Helper()
	authority := natsconntest.NewAuthority(t)
	cert, err := tls.LoadX509KeyPair(authority.IssueUntil(t, "switch", time.Now().Add(-time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	s = httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, authority.CA
}

// What keeps pings away is found without one, and no error has the address, which is a secret.
func TestReach(t *testing.T) {
	var pings atomic.Int32
	count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { pings.Add(1) })
	plain, secure := httptest.NewServer(count), httptest.NewTLSServer(count)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	expired, expiredCA := expiredServer(t, count)

	for _, c := range []struct {
		name     string
		settings Settings
		want     string
	}{
		{name: "nobody listens", settings: Settings{URL: secretfile.Secret(fmt.Sprintf("http://127.0.0.1:%d/hush", streamtest.FreePort(t)))}, want: "connection refused"},
		{name: "no such host", settings: Settings{URL: "https://none.invalid/hush"}, want: "none.invalid"},
		{name: "a certificate of nobody", settings: Settings{URL: secretfile.Secret(secure.URL + "/hush")}, want: "certificate"},
		{
			name: "a certificate that has expired", want: "certificate has expired",
			settings: Settings{
				URL:        secretfile.Secret(expired.URL + "/hush"),
				HTTPConfig: post.HTTPConfig{TLS: post.TLSConfig{CA: expiredCA}},
			},
		},
		{name: "a file that is not there", settings: Settings{URLFile: filepath.Join(t.TempDir(), "x")}, want: "no such file"},
		{name: "no URL", settings: Settings{URL: "hush"}, want: "not a URL"},
		{name: "plain", settings: Settings{URL: secretfile.Secret(plain.URL + "/hush")}},
		{
			name: "TLS",
			settings: Settings{
				URL:        secretfile.Secret(secure.URL + "/hush"),
				HTTPConfig: post.HTTPConfig{TLS: post.TLSConfig{CA: ca}},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := c.settings.WithDefaults().Reach(t.Context()); err != nil {
				got = err.Error()
			}
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "hush") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	if n := pings.Load(); n > 0 {
		t.Errorf("%d requests were made", n)
	}
}
