package smtptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// Authority is a certificate authority that nobody knows and the certificate that it signed:
// for 127.0.0.1, ::1 and localhost, valid for a day.
type Authority struct {
	ca   []byte
	leaf tls.Certificate
}

// WithoutSAN makes the certificate an old one, that has its name in its subject only.
func WithoutSAN(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames, c.IPAddresses = name, nil, nil
	}
}

// NewAuthority makes an authority and its one certificate, changed by change.
func NewAuthority(change ...func(*x509.Certificate)) (*Authority, error) {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of server: %w", err)
	}

	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: "smtptest authority"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("sign authority: %w", err)
	}

	leaf := leafOf(ca)
	for _, f := range change {
		f(leaf)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return &Authority{
		ca:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		leaf: tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key},
	}, nil
}

// leafOf is the certificate of a server, to be signed by ca.
func leafOf(ca *x509.Certificate) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: new(big.Int).Add(ca.SerialNumber, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: "smtptest"},
		NotBefore:    ca.NotBefore,
		NotAfter:     ca.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte { return append([]byte(nil), a.ca...) }

// WritePEM writes the authority's certificate to a file, for a ca_file.
func (a *Authority) WritePEM(path string) error { return os.WriteFile(path, a.ca, 0o644) }

// config is that of a server with the certificate.
func (a *Authority) config() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.leaf}, MinVersion: tls.VersionTLS12}
}
