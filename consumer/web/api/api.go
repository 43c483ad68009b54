// Package api serves what the page shows as JSON, below /api/v1/: processes, hosts, alerts
// with their timelines, events and silences. openapi.json describes it.
//
// Every list comes in pages; errors are problem details (RFC 9457) that say what is wrong
// and what is wanted. What is read from memory (see package fleet) answers at once, what is
// read from NATS is bounded by a time limit and by how many such requests run at once: one
// more is answered 503. GET changes nothing.
package api

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
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
	mux.Handle("GET /api/v1/openapi.json", a.serve(a.getOpenAPI))
	// The mux would lead from the first to the second, and knows no prefix.
	mux.Handle(strings.TrimSuffix(Prefix, "/"), a.serve(a.refuse))
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

// getOpenAPI answers GET /api/v1/openapi.json, with where the paths begin.
func (a *API) getOpenAPI(*http.Request) (any, error) {
	var document struct {
		OpenAPI    string              `json:"openapi"`
		Info       json.RawMessage     `json:"info"`
		Servers    []map[string]string `json:"servers"`
		Paths      json.RawMessage     `json:"paths"`
		Components json.RawMessage     `json:"components"`
	}
	err := json.Unmarshal(openAPI, &document)
	document.Servers = []map[string]string{{"url": cmp.Or(a.Site.Path(""), "/")}}
	return document, err
}

// refuse answers what is none of the routes.
func (a *API) refuse(r *http.Request) (any, error) {
	return nil, site.NewProblem(http.StatusNotFound, fmt.Sprintf("no such path: %.100q: %s lists those that there are",
		r.URL.Path, a.Site.Path(Prefix+"openapi.json")))
}

// handler answers a request with a value to be written as JSON, or an error, see problem.
type handler func(r *http.Request) (any, error)

// created is an answer with the status 201, accepted one with 202.
type (
	created  struct{ value any }
	accepted struct{ value any }
)

// text is an answer that is not JSON.
type text struct{ contentType, body string }

// serve makes an HTTP handler of one of ours.
func (a *API) serve(handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)

		answer, err := handle(r.WithContext(ctx))
		if r.Context().Err() != nil {
			return // nobody reads it
		}
		if err != nil {
			if method := (methodNotAllowed{}); errors.As(err, &method) {
				w.Header().Set("Allow", method.allowed)
			}
			problemOf(err).Write(w)
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
		case accepted:
			answer, status = v.value, http.StatusAccepted
		case nil:
			w.WriteHeader(http.StatusNoContent)
			return
		}
		a.writeJSON(w, status, answer)
	})
}

func (a *API) writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		a.Log.Error().Err(err).Msg("answer cannot be written as JSON")
		site.NewProblem(http.StatusInternalServerError,
			"the answer cannot be written as JSON, the log says why").Write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// methodNotAllowed is an error with the methods that are allowed.
type methodNotAllowed struct{ allowed string }

func (m methodNotAllowed) Error() string { return "the method is not allowed here: want " + m.allowed }

// badRequest says what is wrong with a request.
func badRequest(err error) error { return site.NewProblem(http.StatusBadRequest, err.Error()) }

// unavailable says why a question cannot be answered now.
func unavailable(why string) error { return site.NewProblem(http.StatusServiceUnavailable, why) }

// problemOf returns an error as what a request is answered with.
func problemOf(err error) *site.Problem {
	var known *site.Problem
	var tooLarge *http.MaxBytesError
	var method methodNotAllowed
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &method):
		return site.NewProblem(http.StatusMethodNotAllowed, method.Error())
	case errors.Is(err, inspect.ErrNoIncident):
		return site.NewProblem(http.StatusNotFound, "no such incident: its record has expired, or it never was")
	case errors.As(err, &tooLarge):
		return site.NewProblem(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the body is too large: want at most %d bytes", tooLarge.Limit))
	case errors.Is(err, context.DeadlineExceeded):
		return site.NewProblem(http.StatusServiceUnavailable,
			"NATS did not answer within "+readTimeout.String()+": ask for less, or try again")
	}
	return site.NewProblem(http.StatusServiceUnavailable, err.Error())
}

// read runs what reads from NATS, if there is a connection and not too much of it going on.
func (a *API) read(r *http.Request, do func(ctx context.Context, reader *inspect.Reader) error) error {
	select {
	case a.reads <- struct{}{}:
		defer func() { <-a.reads }()
	default:
		return unavailable("too many requests read from NATS at once: try again in a few seconds")
	}

	js := a.JetStream()
	if js == nil {
		return unavailable("NATS cannot be reached: " + a.Site.Path("/readyz") + " says why")
	}
	warn := func(text string) { a.Log.Debug().Str("path", r.URL.Path).Msg(text) }
	return do(r.Context(), &inspect.Reader{JS: js, Warn: warn})
}

// snapshot returns the fleet. Before the records are read there is none: an empty list would
// say that nothing runs.
func (a *API) snapshot() (*fleet.Snapshot, error) {
	s := a.Fleet.Snapshot()
	if !s.Status.Loaded {
		return nil, unavailable("nothing can be shown yet: " + s.Status.Why)
	}
	return s, nil
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
