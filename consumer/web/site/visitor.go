package site

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"

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
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return r.TLS.VerifiedChains[0][0].Subject.CommonName
	}
	user, _, ok := r.BasicAuth()
	if !ok || !s.hasUser(user) {
		return ""
	}
	return user
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
// comes from anywhere.
func isLocal(r *http.Request) bool {
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
