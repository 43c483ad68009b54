package site

import (
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
		{name: "a proxy strips it", external: "https://ops.example.com/sn", prefix: "/", wantPath: "/alerts", wantURL: "https://ops.example.com/sn/alerts"},
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
	for _, bad := range []string{"ops.example.com", "ftp://ops.example.com", "http:///x", "http://h/?a=b", "http://h/#a", "http://a b"} {
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
		name, webConfig, user, address, proxy string
		want                                  Visitor
	}{
		{name: "from here", address: "127.0.0.1:7", want: Visitor{Local: true}},
		{name: "from here by IPv6", address: "[::1]:7", want: Visitor{Local: true}},
		{name: "from elsewhere", address: "192.0.2.1:7"},
		{name: "through a proxy here", address: "127.0.0.1:7", proxy: "192.0.2.1"},
		{name: "a name that nobody has checked", user: "ops", address: "192.0.2.1:7"},
		{name: "a user", webConfig: file, user: "ops", address: "192.0.2.1:7", want: Visitor{Name: "ops"}},
		{name: "not a user", webConfig: file, user: "root", address: "192.0.2.1:7"},
		{name: "the file is gone", webConfig: file + "x", user: "ops", address: "192.0.2.1:7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.address
			if c.user != "" {
				r.SetBasicAuth(c.user, "hush")
			}
			if c.proxy != "" {
				r.Header.Set("X-Forwarded-For", c.proxy)
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
