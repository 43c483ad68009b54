package site

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Visitor is who sends a request.
type Visitor struct {
	// Name is who is logged in, "" if nobody is: a user of web_config whose password was
	// checked, or the name in a client's certificate that was.
	Name string
	// Local says that the request comes from this machine itself, and through no proxy.
	Local bool
}

// IsTrusted reports whether somebody may see what programs have written: their logs may
// hold secrets.
func (v Visitor) IsTrusted() bool { return v.Name != "" || v.Local }

// Author is the name under which something is changed.
func (v Visitor) Author() string {
	if v.Name != "" {
		return v.Name
	}
	return "web"
}

type visitorKey struct{}

// VisitorOf returns who sends a request that came through Identify; a stranger otherwise.
func VisitorOf(r *http.Request) Visitor {
	v, _ := r.Context().Value(visitorKey{}).(Visitor)
	return v
}

// Identify finds out who sends each request.
func (s *Site) Identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := Visitor{Name: s.userOf(r), Local: isLocal(r)}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, v)))
	})
}

// userOf returns who is logged in. The password was checked by exporter-toolkit before the
// request came here, but only if the file has users at all.
func (s *Site) userOf(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok && s.hasUser(user) {
		return user
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return holderOf(r.TLS.VerifiedChains[0][0])
	}
	return ""
}

// holderOf is the name in a client's certificate. Newer ones have no common name.
func holderOf(c *x509.Certificate) string {
	names := slices.Concat([]string{c.Subject.CommonName}, c.EmailAddresses, c.DNSNames)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	names = append(names, c.Subject.String(), "certificate "+c.SerialNumber.Text(16))
	return names[slices.IndexFunc(names, func(name string) bool { return name != "" })]
}

// hasUser reports whether web_config names a user. It is read for each request, as
// exporter-toolkit does: a user who was removed is out at once.
func (s *Site) hasUser(user string) bool {
	if s.WebConfig == "" {
		return false
	}
	text, err := os.ReadFile(s.WebConfig)
	if err != nil {
		return false
	}
	var file struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if yaml.Unmarshal(text, &file) != nil {
		return false
	}
	_, known := file.Users[user]
	return known
}

// NeedsLogin reports whether web_config lets nobody in without a password or a certificate.
func (s *Site) NeedsLogin() bool {
	if s.WebConfig == "" {
		return false
	}
	text, err := os.ReadFile(s.WebConfig)
	if err != nil {
		return true // exporter-toolkit refuses every request then
	}
	var file struct {
		Users map[string]string `yaml:"basic_auth_users"`
		TLS   struct {
			ClientAuth string `yaml:"client_auth_type"`
		} `yaml:"tls_server_config"`
	}
	return yaml.Unmarshal(text, &file) != nil || len(file.Users) > 0 ||
		file.TLS.ClientAuth == "RequireAndVerifyClientCert"
}

// isLocal reports whether a request comes from this machine. What a proxy here passes on
// comes from anywhere: it adds a header, or speaks HTTP/1.0 as nginx does by default. So does
// what a page of another site sends to its own name after that has become ours (DNS
// rebinding): the Host is foreign then.
func isLocal(r *http.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || slices.Contains(proxyHeaders, name) {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !r.ProtoAtLeast(1, 1) {
		return false
	}
	return isLoopback(host) && isLoopback(nameOf(r.Host))
}

// proxyHeaders are what proxies add, beside X-Forwarded-….
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Original-Forwarded-For", "True-Client-Ip", "Cf-Connecting-Ip",
}

// isLoopback reports whether a host is this machine, whatever a name server says.
func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// nameOf is the host in a Host header: a name without its port.
func nameOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// IsRebound reports whether a page may have sent a request to its own name, after a name
// server has made that ours: nobody is logged in, and the Host is a name that is not known
// here. A program sends neither Origin nor Sec-Fetch-Site. An address is no name.
func (s *Site) IsRebound(r *http.Request) bool {
	byPage := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
	if !byPage || VisitorOf(r).Name != "" {
		return false
	}
	host := nameOf(r.Host)
	if _, err := netip.ParseAddr(host); err == nil || isLoopback(host) {
		return false
	}
	own, _ := os.Hostname() // "" is no Host that a browser sends
	return !strings.EqualFold(host, own) && (s.External == nil || host != nameOf(s.External.Host))
}
