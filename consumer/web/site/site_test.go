package site

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		name, external, prefix string
		wantPath, wantURL      string
	}{
		{name: "nothing is set", wantPath: "/alerts"},
		{name: "a path outside is one inside", external: "https://ops.example.com/sn/", wantPath: "/sn/alerts", wantURL: "https://ops.example.com/sn/alerts"},
		{name: "a proxy strips it", external: "https://ops.example.com/sn", prefix: "/", wantPath: "/sn/alerts", wantURL: "https://ops.example.com/sn/alerts"},
		{name: "a proxy changes it", external: "https://ops.example.com/sn", prefix: "/in", wantPath: "/sn/alerts", wantURL: "https://ops.example.com/sn/alerts"},
		{name: "a prefix without an address", prefix: "sn/", wantPath: "/sn/alerts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Site{}
			if c.external != "" {
				var err error
				if s.External, err = ParseExternal(c.external); err != nil {
					t.Fatal(err)
				}
			}
			s.Prefix = CleanPrefix(c.prefix, s.External)
			if got := s.Path("/alerts"); got != c.wantPath {
				t.Errorf("path %q, want %q", got, c.wantPath)
			}
			if got := s.URL("/alerts"); got != c.wantURL {
				t.Errorf("URL %q, want %q", got, c.wantURL)
			}
		})
	}
}

func TestExternalAddressesAreChecked(t *testing.T) {
	for _, bad := range []string{"ops.example.com", "ftp://ops.example.com", "http:///x", "http://h/?a=b", "http://h/#a", "http://a b", "http://h/?", "http://h/#", "http://ops:hush@h/"} {
		if u, err := ParseExternal(bad); err == nil {
			t.Errorf("%q: %v", bad, u)
		}
	}
}

// A name in a request counts only if its password was checked, and a request is local only
// without a proxy.
func TestVisitors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(file, []byte("basic_auth_users: {ops: 'hash'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, webConfig, user, address string
		// host is that of the request, proxy the header that a proxy has added.
		host, proxy string
		old         bool // HTTP/1.0
		want        Visitor
	}{
		{name: "from here", address: "127.0.0.1:7", want: Visitor{Local: true}},
		{name: "from here by IPv6", address: "[::1]:7", want: Visitor{Local: true}},
		{name: "from elsewhere", address: "192.0.2.1:7"},
		{name: "by a name of this machine", address: "127.0.0.1:7", host: "localhost:8000", want: Visitor{Local: true}},
		{name: "by another port", address: "127.0.0.1:7", host: "[::1]:1", want: Visitor{Local: true}},
		{name: "without a port", address: "127.0.0.1:7", host: "[::1]", want: Visitor{Local: true}},
		{name: "by a name that a name server has made ours", address: "127.0.0.1:7", host: "evil.example.com:8000"},
		{name: "by a name that only looks like ours", address: "127.0.0.1:7", host: "localhost.example.com"},
		{name: "through a proxy here", address: "127.0.0.1:7", proxy: "X-Forwarded-For"},
		{name: "a proxy says whom it was asked for", address: "127.0.0.1:7", proxy: "X-Forwarded-Host"},
		{name: "a proxy of the standard", address: "127.0.0.1:7", proxy: "Forwarded"},
		{name: "a proxy that names itself", address: "127.0.0.1:7", proxy: "Via"},
		{name: "a proxy with a header of its own", address: "127.0.0.1:7", proxy: "X-Real-IP"},
		{name: "a proxy without any header", address: "127.0.0.1:7", old: true},
		{name: "a name that nobody has checked", user: "ops", address: "192.0.2.1:7"},
		{name: "a user", webConfig: file, user: "ops", address: "192.0.2.1:7", want: Visitor{Name: "ops"}},
		{name: "not a user", webConfig: file, user: "root", address: "192.0.2.1:7"},
		{name: "the file is gone", webConfig: file + "x", user: "ops", address: "192.0.2.1:7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr, r.Host = c.address, cmp.Or(c.host, "127.0.0.1:8000")
			if c.old {
				r.Proto, r.ProtoMinor = "HTTP/1.0", 0
			}
			if c.user != "" {
				r.SetBasicAuth(c.user, "hush")
			}
			if c.proxy != "" {
				r.Header.Set(c.proxy, "192.0.2.1")
			}

			var got Visitor
			s := &Site{WebConfig: c.webConfig}
			s.Identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = VisitorOf(r) })).
				ServeHTTP(httptest.NewRecorder(), r)
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// Whose certificate was checked is named by it, also without a common name; a password that
// was checked is about the visitor, where the certificate may be a proxy's.
func TestVisitorsWithCertificates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(file, []byte("basic_auth_users: {ops: 'hash'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		certificate x509.Certificate
		unverified  bool
		user        string
		want        string
	}{
		{name: "a common name", certificate: x509.Certificate{Subject: pkix.Name{CommonName: "ada"}}, want: "ada"},
		{name: "an address", certificate: x509.Certificate{EmailAddresses: []string{"ada@example.com"}}, want: "ada@example.com"},
		{name: "a host", certificate: x509.Certificate{DNSNames: []string{"ops.example.com"}}, want: "ops.example.com"},
		{name: "an organization", certificate: x509.Certificate{Subject: pkix.Name{Organization: []string{"Ops"}}}, want: "O=Ops"},
		{name: "no name", certificate: x509.Certificate{}, want: "certificate 1f"},
		{name: "a password too", certificate: x509.Certificate{Subject: pkix.Name{CommonName: "proxy"}}, user: "ops", want: "ops"},
		{name: "nobody has checked it", certificate: x509.Certificate{Subject: pkix.Name{CommonName: "ada"}}, unverified: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.certificate.SerialNumber = big.NewInt(31)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{&c.certificate}}
			if !c.unverified {
				r.TLS.VerifiedChains = [][]*x509.Certificate{{&c.certificate}}
			}
			if c.user != "" {
				r.SetBasicAuth(c.user, "hush")
			}

			var got Visitor
			s := &Site{WebConfig: file}
			s.Identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = VisitorOf(r) })).
				ServeHTTP(httptest.NewRecorder(), r)
			if got.Name != c.want {
				t.Errorf("%q, want %q", got.Name, c.want)
			}
		})
	}
}

// A prefix is written in one way only.
func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		prefix string
		wrong  bool
	}{
		{prefix: ""},
		{prefix: "/"},
		{prefix: "/sn"},
		{prefix: "sn/eu-1/"},
		{prefix: "/~ops/sn.v2"},
		{prefix: "/a b", wrong: true},
		{prefix: "/{x}", wrong: true},
		{prefix: "/a%2fb", wrong: true},
		{prefix: "/名", wrong: true},
		{prefix: "/a?b", wrong: true},
		{prefix: "http://h/sn", wrong: true},
	} {
		if err := CheckPrefix(c.prefix); (err != nil) != c.wrong {
			t.Errorf("%q: %v", c.prefix, err)
		}
	}
}

// A host or a process that a browser would take for a folder is found by a search.
func TestPathsOfNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{got: HostPath("web1"), want: "/hosts/web1"},
		{got: HostPath("a/b?c"), want: "/hosts/a%2Fb%3Fc"},
		{got: HostPath("..."), want: "/hosts/..."},
		{got: HostPath("."), want: "/?host=."},
		{got: HostPath(".."), want: "/?host=.."},
		{got: ProcessPath("web1", "api", "api_00"), want: "/processes/web1/api/api_00"},
		{got: ProcessPath("web1", "..", "api_00"), want: "/?group=..&host=web1&process=api_00"},
		{got: ProcessPath("web*", "api", "."), want: "/?group=api&host=web%5C%2A&process=."},
		{got: ProcessPath("..", "api", "api_00"), want: "/?group=api&host=..&process=api_00"},
		{got: NewMutePath("", "", "", ""), want: "/mutes/new"},
		{got: NewMutePath("web*", "", "", "fatal"), want: "/mutes/new?host=web%5C%2A&rule=fatal"},
		{got: EventsPath("web1", "", ""), want: "/events?host=web1"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}
