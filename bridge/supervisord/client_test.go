package supervisord

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
)

func TestParseURL(t *testing.T) {
	for _, bad := range []string{
		"", "unix://", "unix:///a\x00b", "/run/supervisor.sock", "ftp://host", "http://", "http://:9001", "http://host:port",
		"http://user:se/cret@host", "http://host?x=1", "http://host#x", "http://ho st", "127.0.0.1:9001",
	} {
		_, err := New(Config{URL: bad})
		if err == nil {
			t.Errorf("New(%q) is no error", bad)
		} else if strings.Contains(err.Error(), "cret") {
			t.Errorf("New(%q) shows the password: %v", bad, err)
		}
	}
	for in, want := range map[string]address{
		"unix:///run/supervisor.sock": {
			socket: "/run/supervisor.sock", url: "http://localhost/RPC2", name: "unix:///run/supervisor.sock",
		},
		"unix:///run/%41 b.sock": {
			socket: "/run/%41 b.sock", url: "http://localhost/RPC2", name: "unix:///run/%41 b.sock",
		},
		"unix://supervisor.sock": {
			socket: "supervisor.sock", url: "http://localhost/RPC2", name: "unix://supervisor.sock",
		},
		"http://localhost:9001":       {url: "http://localhost:9001/RPC2", name: "http://localhost:9001"},
		"http://localhost:9001/":      {url: "http://localhost:9001/RPC2", name: "http://localhost:9001"},
		"http://localhost:9001/RPC2":  {url: "http://localhost:9001/RPC2", name: "http://localhost:9001"},
		"http://localhost:9001/RPC2/": {url: "http://localhost:9001/RPC2", name: "http://localhost:9001"},
		"https://u:p%40w@[::1]:9001/sup": {
			url: "https://[::1]:9001/sup/RPC2", name: "https://[::1]:9001/sup", user: "u", password: "p@w",
		},
		"http://user:secret@host.example.com": {
			url: "http://host.example.com/RPC2", name: "http://host.example.com", user: "user", password: "secret",
		},
		"http://user@host.example.com:9001/RPC2": {
			url: "http://host.example.com:9001/RPC2", name: "http://host.example.com:9001", user: "user",
		},
	} {
		if got, err := parseURL(in); err != nil || got != want {
			t.Errorf("parseURL(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

// answers is a server other than supervisord.
func serve(t *testing.T, cfg Config, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	cfg.URL = server.URL
	return newClient(t, cfg)
}

func says(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func response(value string) string {
	return "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value>" + value +
		"</value>\n</param>\n</params>\n</methodResponse>\n"
}

func TestCallErrors(t *testing.T) {
	var status *StatusError
	var fault *Fault
	for _, test := range []struct {
		name string
		h    http.HandlerFunc
		want func(error) bool
		says string
	}{
		{
			name: "a web page",
			h:    says(200, "<!DOCTYPE html><html><body>Supervisor Status</body></html>"),
			want: is(ErrNotXMLRPC),
			says: "DOCTYPE",
		},
		{name: "nothing", h: says(200, ""), want: is(ErrNotXMLRPC)},
		{
			name: "cut in the middle",
			h:    says(200, response("<array><data><value><int>1</int></value>")[:90]),
			want: is(ErrNotXMLRPC),
		},
		{name: "another type", h: says(200, response("<int>one</int>")), want: is(ErrNotXMLRPC)},
		{
			name: "too large",
			h:    says(200, response("<string>"+strings.Repeat("x", 10_000)+"</string>")),
			want: is(ErrTooLarge),
			says: "more than 5000 bytes",
		},
		{
			name: "unauthorized",
			h:    says(401, "<html>"),
			want: is(ErrUnauthorized),
			says: "SUPERVISOR_PASSWORD",
		},
		{
			name: "not found",
			h:    says(404, "<html>"),
			want: func(err error) bool { return errors.As(err, &status) && status.Code == 404 },
			says: "404 Not Found",
		},
		{
			name: "its own error",
			h:    says(500, ""),
			want: func(err error) bool { return errors.As(err, &status) && status.Code == 500 },
			says: "its own log says why",
		},
		{
			name: "a redirect",
			h: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
			},
			want: func(err error) bool { return errors.As(err, &status) && status.Code == 307 },
		},
		{
			name: "a fault",
			h: says(200, "<?xml version='1.0'?><methodResponse><fault><value><struct><member><name>faultCode</name><value><int>10</int></value></member>"+
				"<member><name>faultString</name><value><string>BAD_NAME: x</string></value></member></struct></value></fault></methodResponse>"),
			want: func(err error) bool {
				return errors.As(err, &fault) && *fault == Fault{FaultBadName, "BAD_NAME: x"}
			},
			says: "fault 10: BAD_NAME: x",
		},
	} {
		_, _, err := serve(t, Config{MaxResponse: 5000}, test.h).call(t.Context(), "supervisor.getState")
		if err == nil || !test.want(err) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestHostileAnswers: whatever is sent instead of an answer is an error, at the cost
// of little memory.
func TestHostileAnswers(t *testing.T) {
	const begin = "<?xml version='1.0'?><methodResponse><params><param><value>"
	entities := `<!ENTITY a0 "` + strings.Repeat("a", 1000) + `">`
	for i := range 9 {
		entities += fmt.Sprintf(`<!ENTITY a%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&a%d;", i), 10))
	}
	for _, test := range []struct {
		name, body string
		want       error
	}{
		{
			name: "nested, never closed", body: begin + strings.Repeat("<array><data><value>", 820_000),
			want: ErrTooLarge,
		},
		{
			name: "nested",
			body: response(strings.Repeat("<array><data><value>", 200_000) +
				strings.Repeat("</value></data></array>", 200_000)),
			want: ErrTooLarge,
		},
		{name: "nested in attributes", body: begin + strings.Repeat(`<value a="/>">`, 820_000), want: ErrNotXMLRPC},
		{
			name: "nested, closed by comments", body: begin + strings.Repeat("<value><!--</value>-->", 600_000),
			want: ErrNotXMLRPC,
		},
		{
			name: "a million values",
			body: response("<array><data>" + strings.Repeat("<value><i4/></value>", 700_000) + "</data></array>"),
			want: ErrTooLarge,
		},
		{
			name: "entities",
			body: "<?xml version='1.0'?><!DOCTYPE x [" + entities +
				"]><methodResponse><params><param><value><string>&a9;</string></value></param></params></methodResponse>",
			want: ErrNotXMLRPC,
		},
		{name: "a fault without a number", body: "<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>-99999999999999999999999</int></value></member>" +
			"<member><name>faultString</name><value><string>x</string></value></member></struct></value></fault></methodResponse>", want: ErrNotXMLRPC},
		{
			name: "a fault that is a text",
			body: "<methodResponse><fault><value><string>x</string></value></fault></methodResponse>",
			want: ErrNotXMLRPC,
		},
		{name: "a number that is none", body: response("<int>99999999999999999999</int>"), want: ErrNotXMLRPC},
		{name: "a tag without an end", body: begin + "<int", want: ErrNotXMLRPC},
	} {
		if len(test.body) > defaultMaxResponse {
			t.Fatalf("%s: %d bytes", test.name, len(test.body))
		}
		c := serve(t, Config{}, says(200, test.body))
		if _, _, err := c.call(t.Context(), "m"); !errors.Is(err, test.want) {
			t.Errorf("%s: got %.200v, want %v", test.name, err, test.want)
		}
	}
	// Types that nobody expects.
	c := serve(t, Config{}, says(200, response("<array><data><value><struct><member><name>name</name><value><int>5</int></value></member>"+
		"<member><name>pid</name><value><string>x</string></value></member></struct></value><value><int>1</int></value></data></array>")))
	if table, err := c.Processes(t.Context()); err != nil || len(table) != 0 {
		t.Errorf("%v, %v", table, err)
	}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func TestCallValues(t *testing.T) {
	for in, want := range map[string]any{
		"<int>-1</int>":                int64(-1),
		"<string></string>":            nil,
		"<string>\x1b[1m&lt;</string>": "\uFFFD[1m<",
		"<string> a\r\n</string>":      " a\r\n",
		"<boolean>1</boolean>":         true,
	} {
		got, _, err := serve(t, Config{}, says(200, response(in))).call(t.Context(), "m")
		if err != nil || got != want {
			t.Errorf("%q: %#v, %v; want %#v", in, got, err, want)
		}
	}
}

// TestStalls: neither a server that answers nothing, nor one that never ends, nor
// one that accepts no connection holds up a call.
func TestStalls(t *testing.T) {
	done := make(chan struct{})
	for name, h := range map[string]http.HandlerFunc{
		"silent": func(http.ResponseWriter, *http.Request) { <-done },
		"slow": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "<methodResponse>")
			w.(http.Flusher).Flush()
			<-done
		},
	} {
		server := httptest.NewServer(h)
		c := newClient(t, Config{URL: server.URL, Timeout: 50 * time.Millisecond})
		begin := time.Now()
		_, _, err := c.Snapshot(t.Context())
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(begin))
		}
		c = newClient(t, Config{URL: server.URL})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, _, err := c.Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		t.Cleanup(server.Close)
	}
	t.Cleanup(func() { close(done) }) // first, Close waits for the handlers
}

func TestNoServer(t *testing.T) {
	dir := supervisordtest.Dir(t)
	_, _, err := newClient(t, Config{URL: "unix://" + dir + "/none.sock"}).Snapshot(t.Context())
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "[unix_http_server]") {
		t.Error(err)
	}
	if os.Geteuid() != 0 { // root may do anything
		locked := dir + "/locked"
		if err := os.Mkdir(locked, 0); err != nil {
			t.Fatal(err)
		}
		_, _, err = newClient(t, Config{URL: "unix://" + locked + "/a.sock"}).Snapshot(t.Context())
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "chmod=") {
			t.Error(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://user:secret@" + l.Addr().String()
	l.Close()
	_, _, err = newClient(t, Config{URL: url}).Snapshot(t.Context())
	if !errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// TestNoMulticall is the Go port of supervisord.
func TestNoMulticall(t *testing.T) {
	fault := "<?xml version='1.0'?><methodResponse><fault><value><struct><member><name>faultCode</name><value><int>1</int></value></member>" +
		"<member><name>faultString</name><value><string>UNKNOWN_METHOD</string></value></member></struct></value></fault></methodResponse>"
	calls := 0
	c := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		body := make([]byte, 1000)
		n, _ := r.Body.Read(body)
		switch b := string(body[:n]); {
		case strings.Contains(b, "multicall"):
			fmt.Fprint(w, fault)
		case strings.Contains(b, "getAllProcessInfo"):
			fmt.Fprint(w, response("<array><data><value><struct>"+
				"<member><name>name</name><value><string>cat</string></value></member><member><name>group</name><value><string></string></value></member>"+
				"<member><name>statename</name><value><string>Running</string></value></member><member><name>pid</name><value><int>7</int></value></member>"+
				"<member><name>start</name><value><int>-1</int></value></member></struct></value></data></array>"))
		case strings.Contains(b, "getPID"):
			fmt.Fprint(w, response("<int>99</int>"))
		default:
			fmt.Fprint(w, fault)
		}
	})
	for range 2 {
		snap, pid, err := c.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p := snap.Processes[0]; pid != 99 || p.Group != "cat" || p.State != "RUNNING" || p.PID != 7 ||
			p.Start != 0 || snap.SupervisorState != "RUNNING" {
			t.Errorf("pid %d, %+v", pid, snap)
		}
	}
	if calls != 6+5 {
		t.Errorf("%d calls", calls)
	}
}
