// Package natsconntest makes, for tests, everything with which a connection to NATS can be
// secured: keys, certificates and credentials, in files.
package natsconntest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// File writes a file that only its owner can read, in a directory of its own.
func File(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// must is for what only fails if the machine has no randomness.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Nkey makes a user's key: the public half, and a file with the seed.
func Nkey(tb testing.TB) (public, seedFile string) {
	tb.Helper()
	public, seed := user()
	return public, File(tb, "user.nk", string(seed)+"\n")
}

func user() (public string, seed []byte) {
	kp := must(nkeys.CreateUser())
	return must(kp.PublicKey()), must(kp.Seed())
}

// Authority is a certificate authority that nobody knows.
type Authority struct {
	// CA is the file with its certificate.
	CA string

	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one, valid for a day.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	a.cert = template("authority")
	a.cert.KeyUsage = x509.KeyUsageCertSign
	a.cert.IsCA = true
	a.cert.BasicConstraintsValid = true
	a.CA = File(tb, "ca.pem", a.sign(a.cert, &a.key.PublicKey))
	return a
}

// Issue makes a certificate for 127.0.0.1, by which a server, or a client with that name,
// can identify itself.
func (a *Authority) Issue(tb testing.TB, name string) (certFile, keyFile string) {
	tb.Helper()
	return a.IssueUntil(tb, name, time.Now().Add(24*time.Hour))
}

// IssueUntil is Issue for a certificate that is valid until a time, which may be over.
func (a *Authority) IssueUntil(tb testing.TB, name string, until time.Time) (certFile, keyFile string) {
	tb.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must(x509.MarshalECPrivateKey(key))
	cert := template(name)
	cert.NotBefore, cert.NotAfter = until.Add(-25*time.Hour), until
	cert.KeyUsage = x509.KeyUsageDigitalSignature
	cert.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return File(tb, "cert.pem", a.sign(cert, &key.PublicKey)),
		File(tb, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
}

func (a *Authority) sign(cert *x509.Certificate, public *ecdsa.PublicKey) string {
	der := must(x509.CreateCertificate(rand.Reader, cert, a.cert, public, a.key))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Operator is an operator with one account that has JetStream. Its users are JWTs.
type Operator struct {
	account nkeys.KeyPair
	change  func(*server.Options)
}

// NewOperator makes one.
func NewOperator() *Operator {
	operator := must(nkeys.CreateOperator())
	claims := jwt.NewOperatorClaims(must(operator.PublicKey()))
	resolver := &server.MemAccResolver{}
	account := func(name string, storage int64) nkeys.KeyPair {
		kp := must(nkeys.CreateAccount())
		c := jwt.NewAccountClaims(must(kp.PublicKey()))
		c.Name = name
		c.Limits.DiskStorage = storage
		c.Limits.MemoryStorage = storage
		if err := resolver.Store(c.Subject, must(c.Encode(operator))); err != nil {
			panic(err)
		}
		return kp
	}

	system := account("SYS", 0)
	claims.SystemAccount = must(system.PublicKey())
	claims = must(jwt.DecodeOperatorClaims(must(claims.Encode(operator))))
	return &Operator{account: account("SUPERNATS", jwt.NoLimit), change: func(o *server.Options) {
		o.TrustedOperators = []*jwt.OperatorClaims{claims}
		o.AccountResolver = resolver
		o.SystemAccount = claims.SystemAccount
	}}
}

// Trust makes a server trust the operator.
func (o *Operator) Trust(opts *server.Options) { o.change(opts) }

// Creds makes a user and returns the file with its credentials.
func (o *Operator) Creds(tb testing.TB, name string) string {
	tb.Helper()
	return o.CredsUntil(tb, name, time.Time{})
}

// CredsUntil is Creds for a user until a time, which may be over.
func (o *Operator) CredsUntil(tb testing.TB, name string, until time.Time) string {
	tb.Helper()
	public, seed := user()
	c := jwt.NewUserClaims(public)
	c.Name = name
	if !until.IsZero() {
		c.Expires = until.Unix()
	}
	token := must(c.Encode(o.account))
	return File(tb, name+".creds", string(must(jwt.FormatUserConfig(token, seed))))
}
