package notify

import (
	"crypto/x509"
	"net"
	"strconv"
	"strings"

	"supernats/consumer/wording"
)

// WrongName says why a certificate is not one for the server's name.
func WrongName(err x509.HostnameError) string {
	c := err.Certificate
	if c == nil || len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses)+len(c.URIs) > 0 {
		return "the certificate is made out to another name"
	}

	entry := "DNS:" + err.Host
	if net.ParseIP(strings.Trim(err.Host, "[]")) != nil {
		entry = "IP:" + err.Host
	}
	name := strconv.Quote(wording.Clip(c.Subject.CommonName, wording.MaxName))
	return "the certificate has no subjectAltName (SAN), and its common name " + name +
		" does not count; have it issued with subjectAltName=" + entry
}
