package notifytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Request is one that a Server has got.
type Request struct {
	Path, Query string
	Header      http.Header
	Body        []byte
}

// Server is the other side of receivers by HTTP.
type Server struct {
	URL string
	// Server is the real one.
	Server *httptest.Server

	mu       sync.Mutex
	requests []Request
	done     chan struct{}
}

// Serve starts a server that lives as long as the test.
func Serve(t testing.TB, b Behaviour) *Server {
	t.Helper()
	return ServeFunc(t, func(s *Server, w http.ResponseWriter, r *http.Request) { s.behave(b, w, r) })
}

// ServeFunc starts a server that answers as the function does, and keeps the requests.
func ServeFunc(t testing.TB, answer func(s *Server, w http.ResponseWriter, r *http.Request)) *Server {
	t.Helper()
	s := &Server{done: make(chan struct{})}

	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		s.mu.Lock()
		s.requests = append(s.requests, Request{r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), body})
		s.mu.Unlock()
		answer(s, w, r)
	}))
	s.URL = s.Server.URL

	t.Cleanup(func() {
		close(s.done)
		s.Server.Close()
	})
	return s
}

// Requests returns what has arrived so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Bodies returns the bodies of Requests.
func (s *Server) Bodies() [][]byte {
	var list [][]byte
	for _, r := range s.Requests() {
		list = append(list, r.Body)
	}
	return list
}

// accepted is what the services answer to a message that they take, all in one.
const accepted = `{"ok":true,"success":true,"status":"success","id":"1","event":"message"}`

// behave answers one request.
func (s *Server) behave(b Behaviour, w http.ResponseWriter, r *http.Request) {
	url := r.URL.String()

	switch b {
	case RefuseForGood:
		// It repeats what it was asked, as some do.
		http.Error(w, "no such thing: "+url+" "+r.Header.Get("Authorization"), http.StatusNotFound)
	case RefuseForNow:
		w.Header().Set("Retry-After", "7")
		http.Error(w, "too many: "+url, http.StatusTooManyRequests)
	case Silent:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	case Drip:
		s.pour(w, "x", 20*time.Millisecond)
	case Flood:
		s.pour(w, "X-Flood: flood flood flood flood\r\n", 0)
	case Accept:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, accepted)
	}
}

// pour begins the header of an answer and never ends it.
func (s *Server) pour(w http.ResponseWriter, text string, pause time.Duration) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err) // httptest speaks HTTP/1
	}
	defer c.Close()
	_, err = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
	for err == nil {
		select {
		case <-s.done:
			return
		case <-time.After(pause):
		}
		_, err = io.WriteString(c, text)
	}
}
