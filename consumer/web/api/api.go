// Package api serves what the page shows as JSON, below /api/v1/: processes, hosts, alerts
// with their timelines, events and silences. openapi.json describes it.
//
// Every list comes in pages; errors are problem details (RFC 9457) that say what is wrong
// and what is wanted. What is read from memory (see package fleet) answers at once, what is
// read from NATS is bounded by a time limit and by how many such requests run at once: one
// more is answered 503. GET changes nothing.
package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/web/site"
	"supernats/schema"
)

// Prefix is before the paths of all that the room serves.
const Prefix = "/api/v1/"

const (
	// readTimeout is how long one request may read from NATS.
	readTimeout = 10 * time.Second
	// maxReads is how many requests may read from NATS at once.
	maxReads = 8
	// maxBody is how large the body of a request may be.
	maxBody = 64 << 10
)

// API is the room. Its fields are set once.
type API struct {
	Site  *site.Site
	Fleet *fleet.Fleet
	// JetStream returns the connection, nil while there is none.
	JetStream func() jetstream.JetStream
	Log       zerolog.Logger

	reads chan struct{}
}

// New returns the room.
func New(a API) *API {
	a.reads = make(chan struct{}, maxReads)
	return &a
}

//go:embed openapi.json
var openAPI []byte

// Register adds the paths of the API.
func (a *API) Register(mux *http.ServeMux) {
	for pattern, handle := range a.routes() {
		mux.Handle(pattern, a.serve(handle))
	}
	mux.HandleFunc("GET /api/v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openAPI)
	})
	mux.Handle(Prefix, a.serve(a.refuse))
}

// routes are the paths that openapi.json describes.
func (a *API) routes() map[string]handler {
	return map[string]handler{
		"GET /api/v1/status":                             a.getStatus,
		"GET /api/v1/processes":                          a.listProcesses,
		"GET /api/v1/processes/{host}/{group}/{process}": a.getProcess,
		"GET /api/v1/hosts":                              a.listHosts,
		"GET /api/v1/hosts/{host}":                       a.getHost,
		"GET /api/v1/alerts":                             a.listAlerts,
		"GET /api/v1/alerts/{id...}":                     a.getAlert,
		"POST /api/v1/alerts/{id...}":                    a.createAck,
		"DELETE /api/v1/alerts/{id...}":                  a.endAck,
		"GET /api/v1/events":                             a.listEvents,
		"GET /api/v1/mutes":                              a.listMutes,
		"POST /api/v1/mutes":                             a.createMute,
		"DELETE /api/v1/mutes/{id}":                      a.endMute,
	}
}

// refuse answers what is none of the routes.
func (a *API) refuse(r *http.Request) (any, error) {
	return nil, problem{
		Status: http.StatusNotFound,
		Detail: "no such path, or not with " + r.Method + ": " +
			a.Site.Path(Prefix+"openapi.json") + " lists what there is",
	}
}

// handler answers a request with a value to be written as JSON, or an error, see problem.
type handler func(r *http.Request) (any, error)

// created is an answer with the status 201.
type created struct{ value any }

// text is an answer that is not JSON.
type text struct{ contentType, body string }

// serve makes an HTTP handler of one of ours.
func (a *API) serve(handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")

		answer, err := handle(r.WithContext(ctx))
		if err != nil {
			a.writeProblem(w, r, err)
			return
		}
		status := http.StatusOK
		switch v := answer.(type) {
		case text:
			w.Header().Set("Content-Type", v.contentType)
			_, _ = w.Write([]byte(v.body))
			return
		case created:
			answer, status = v.value, http.StatusCreated
		case nil:
			w.WriteHeader(http.StatusNoContent)
			return
		}
		a.writeJSON(w, "application/json", status, answer)
	})
}

func (a *API) writeJSON(w http.ResponseWriter, contentType string, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		a.Log.Error().Err(err).Msg("answer cannot be written as JSON")
		http.Error(w, "the answer cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// problem is an error as RFC 9457 writes it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func (p problem) Error() string { return p.Detail }

// badRequest says what is wrong with a request.
func badRequest(err error) error { return problem{Status: http.StatusBadRequest, Detail: err.Error()} }

// writeProblem answers with an error.
func (a *API) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	var p problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
	case errors.Is(err, inspect.ErrNoIncident):
		p = problem{Status: http.StatusNotFound, Detail: "no such incident: its record has expired, or it never was"}
	case errors.As(err, &tooLarge):
		p = problem{Status: http.StatusRequestEntityTooLarge, Detail: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		p = problem{
			Status: http.StatusServiceUnavailable,
			Detail: "NATS did not answer within " + readTimeout.String() + ": ask for less, or try again",
		}
	case r.Context().Err() != nil:
		return // nobody reads it
	default:
		p = problem{Status: http.StatusServiceUnavailable, Detail: err.Error()}
	}

	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	a.writeJSON(w, "application/problem+json", p.Status, p)
}

// read runs what reads from NATS, if there is a connection and not too much of it going on.
func (a *API) read(r *http.Request, do func(ctx context.Context, reader *inspect.Reader) error) error {
	select {
	case a.reads <- struct{}{}:
		defer func() { <-a.reads }()
	default:
		return problem{
			Status: http.StatusServiceUnavailable,
			Detail: "too many requests read from NATS at once: try again in a few seconds",
		}
	}

	js := a.JetStream()
	if js == nil {
		return problem{Status: http.StatusServiceUnavailable, Detail: "NATS cannot be reached: /readyz says why"}
	}
	warn := func(text string) { a.Log.Debug().Str("path", r.URL.Path).Msg(text) }
	return do(r.Context(), &inspect.Reader{JS: js, Warn: warn})
}

// Status is whether an answer shows what is.
type Status struct {
	Live bool `json:"live"`
	// Since is the time up to which the answer is right, if it is not live; Why says what is
	// wrong.
	Since *schema.Time `json:"since,omitempty"`
	Why   string       `json:"why,omitempty"`
	// Active is the instance that records events, LagMessages what it has not read yet.
	Active      string  `json:"active,omitempty"`
	LagMessages uint64  `json:"lag_messages"`
	LagSeconds  float64 `json:"lag_seconds"`
	// Now is the time by which spans are to be read.
	Now schema.Time `json:"now"`
}

func statusOf(s *fleet.Snapshot) Status {
	st := Status{
		Live: s.Status.Live, Why: s.Status.Why, Active: s.Status.Active, LagMessages: s.Status.Lag,
		LagSeconds: s.Status.LagAge.Seconds(), Now: schema.Time{Time: s.Now},
	}
	if !st.Live && !s.Status.Since.IsZero() {
		st.Since = &schema.Time{Time: s.Status.Since}
	}
	return st
}

// page is a list with what leads to the next one.
type page struct {
	// Items have a name of their own in each answer, see with.
	Total int    `json:"total"`
	Of    int    `json:"of"`
	Next  string `json:"next_page_token,omitempty"`
	// Hint says why there is nothing.
	Hint   string `json:"hint,omitempty"`
	Status Status `json:"status"`
}

// nothing says why a list is empty.
func nothing(what string, of int) string {
	if of == 0 {
		return "no " + what + " are known yet: no supernats-bridge has reported any"
	}
	return "none of the " + strings.TrimSpace(what) + " matches the filters"
}
