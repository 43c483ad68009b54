package bridge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"supernats/schema/logtest"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"
)

// authority signs the certificates of a server.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	a := authority{&x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, newKey(t)}
	var err error
	if a.cert, err = x509.ParseCertificate(a.sign(t, a.cert, a.key)); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a authority) sign(t *testing.T, cert *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// write puts a certificate for 127.0.0.1 and its key into a directory.
func (a authority) write(t *testing.T, dir string) {
	t.Helper()
	key := newKey(t)
	der := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}},
	}, key)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// get asks with a connection of its own. err is that of TLS.
func (a authority) get(url, user, password string) (status int, err error) {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func writeUsers(t *testing.T, file, user, password string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {%s: '%s'}\n",
		user, hash)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TLS and users are those of the web configuration, as it is at the time.
func TestWebConfig(t *testing.T) {
	dir := t.TempDir()
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	first.write(t, dir)
	file := filepath.Join(dir, "web.yaml")
	writeUsers(t, file, "prometheus", "s3cret")
	cfg := goodConfig()
	cfg.SpoolDir, cfg.Listen, cfg.WebConfig, cfg.NATS.URL, cfg.Drain = t.TempDir(), "127.0.0.1:0", file, "nats://127.0.0.1:1", 0
	log := &logtest.Buffer{}
	b, err := New(cfg, testBoot, "test", zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	in, supervisord := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- b.Run(t.Context(), in, io.Discard) }()
	address := log.Find(t, "Listening on")["address"].(string) // what exporter-toolkit logs
	check := func(when string, a authority, user, password string, want int) {
		t.Helper()
		for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
			status, err := a.get("https://"+address+path, user, password)
			if status != want || (err != nil) != (want == 0) {
				t.Errorf("%s: %s answers %d, %v; want %d", when, path, status, err, want)
			}
		}
	}
	check("the right user", first, "prometheus", "s3cret", 200)
	check("nobody", first, "", "", 401)
	check("a wrong password", first, "prometheus", "secret", 401)
	check("a wrong user", first, "grafana", "s3cret", 401)
	check("another authority", second, "prometheus", "s3cret", 0)
	if resp, err := http.Get("http://" + address + "/metrics"); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}

	second.write(t, dir)
	check("the first authority, after a rotation", first, "prometheus", "s3cret", 0)
	check("the second authority, after a rotation", second, "prometheus", "s3cret", 200)
	writeUsers(t, file, "prometheus", "n3w")
	check("the old password", second, "prometheus", "s3cret", 401)
	check("the new password", second, "prometheus", "n3w", 200)

	for range 300 { // half-open ones hold up nobody
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	begun := time.Now()
	check("half-open connections", second, "prometheus", "n3w", 200)
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("answered after %v", took)
	}

	if err := supervisord.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("it listens after its end")
	}
}
