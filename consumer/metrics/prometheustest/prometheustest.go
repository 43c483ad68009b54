// Package prometheustest runs Debian's Prometheus, and programs beside it, for tests.
package prometheustest

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"supernats/schema/stream/streamtest"
)

// patience is how long an expression may have no result.
const patience = 60 * time.Second

// Need returns a program of one of Debian's packages.
func Need(tb testing.TB, program, debian string) string {
	tb.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		tb.Fatalf("%v: `task test` installs it; on Debian: sudo apt-get install %s", err, debian)
	}
	return path
}

// FreeAddress returns an address that nobody listens on, also while its program is stopped.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(streamtest.FreePort(tb)))
}

// Run starts a program that the test ends. The test shows what it logs if it fails.
func Run(tb testing.TB, name string, args ...string) *exec.Cmd {
	tb.Helper()
	log, err := os.Create(filepath.Join(tb.TempDir(), filepath.Base(name)+".log"))
	if err != nil {
		tb.Fatal(err)
	}
	defer log.Close()
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if tb.Failed() {
			b, _ := os.ReadFile(log.Name())
			tb.Logf("%s:\n%s", name, b)
		}
	})
	return c
}

// Server is a running Prometheus.
type Server struct {
	tb      testing.TB
	address string
}

// Start runs one with a configuration file, beside which it keeps its data.
func Start(tb testing.TB, config string) *Server {
	tb.Helper()
	s := &Server{tb: tb, address: FreeAddress(tb)}
	Run(tb, Need(tb, "prometheus", "prometheus"), "--config.file", config,
		"--storage.tsdb.path", filepath.Join(tb.TempDir(), "data"), "--web.listen-address", s.address)
	s.until("it is ready", func() bool {
		r, err := http.Get("http://" + s.address + "/-/ready")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return s
}

// Sample is a result of a query.
type Sample struct {
	Metric map[string]string
	Value  [2]any
}

// Query evaluates an expression now.
func (s *Server) Query(expression string) []Sample {
	s.tb.Helper()
	r, err := http.Get("http://" + s.address + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		s.tb.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []Sample }
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || answer.Error != "" {
		s.tb.Fatalf("%s: %v %s", expression, err, answer.Error)
	}
	return answer.Data.Result
}

// Wait waits until an expression has a result, and returns its first one.
func (s *Server) Wait(expression string) Sample {
	s.tb.Helper()
	var got []Sample
	s.until(expression, func() bool {
		got = s.Query(expression)
		return len(got) > 0
	})
	return got[0]
}

func (s *Server) until(what string, holds func() bool) {
	s.tb.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			s.tb.Fatalf("Prometheus, never: %s", what)
		}
	}
}
