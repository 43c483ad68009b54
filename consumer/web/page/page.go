// Package page serves the pages for people: what is wrong first, then the fleet, its hosts,
// processes, alerts, events and silences.
//
// Every page is whole without JavaScript; with it, what changes is replaced as it happens
// (see package live). Names, logs and comments come from others: html/template escapes
// them, and package wording makes them visible and short. Log tails are shown only to those
// who are logged in, or sit at this machine.
//
// Under pressure: a page shows at most 100 entries of a list, and reads at most 500 events
// of a stream for five seconds at most. What shows the fleet alone reads nothing from NATS, and
// works while NATS is away: its status line says since when.
package page

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/web/live"
	"supernats/consumer/web/page/assets"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
)

//go:embed templates
var templateFiles embed.FS

// Options are what the pages need.
type Options struct {
	Site  *site.Site
	Fleet *fleet.Fleet
	// JetStream returns the connection to NATS, nil while there is none yet.
	JetStream func() jetstream.JetStream
	// Acknowledger acknowledges incidents; nil: that is not offered.
	Acknowledger Acknowledger
	Version      string
	Log          zerolog.Logger
}

// Pages serves the pages. Run keeps those that are open up to date.
type Pages struct {
	Options
	templates *template.Template
	hub       *live.Hub
	crashes   *history.CrashLog
	reads     sharedReads
	// few logs what each request and each snapshot may repeat.
	few zerolog.Logger
}

// New returns the pages.
func New(o Options) *Pages {
	p := &Pages{
		Options: o, crashes: &history.CrashLog{},
		few: o.Log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Hour}),
	}
	funcs := template.FuncMap{
		"code":  code,
		"path":  o.Site.Path,
		"asset": func(name string) string { return o.Site.Path(assets.Path(name)) },
	}
	p.templates = template.Must(template.New("").Funcs(funcs).ParseFS(templateFiles, "templates/*.html"))
	p.hub = live.New(o.Fleet, o.Site.MaxStreams(), func(address string) (live.Render, error) {
		v, err := p.parseView(address)
		if err != nil {
			return nil, err
		}
		return func(s *fleet.Snapshot) (*live.Frame, error) { return p.frameOf(v, s) }, nil
	})
	return p
}

// frameOf returns what a view shows live. A mistake of ours in it must not end the daemon: it
// ends the view, as in a handler of net/http.
func (p *Pages) frameOf(v view, s *fleet.Snapshot) (frame *live.Frame, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("%T is broken: %v", v, broken)
			p.few.Error().Err(err).Bytes("stack", debug.Stack()).Msg("page cannot be kept up to date")
		}
	}()

	shown, err := v.show(s, look.Clock{})
	if err != nil {
		return nil, err
	}
	return &shown.Frame, nil
}

// Run keeps open pages up to date until ctx ends.
func (p *Pages) Run(ctx context.Context) error { return p.hub.Run(ctx) }

// Register adds the pages. Where there is no page, an error page says so.
func (p *Pages) Register(mux *http.ServeMux) {
	for pattern, handle := range map[string]handler{
		"GET /{$}":                   p.serveView,
		"GET /hosts/{host}":          p.serveView,
		"GET /processes/{h}/{g}/{p}": p.serveView,
		"GET /alerts":                p.serveView,
		"GET /alerts/{id}":           p.serveView,
		"GET /events":                p.serveView,
		"GET /mutes":                 p.serveView,
		"GET /mutes/new":             p.showMuteForm,
		"POST /mutes":                p.makeMute,
		"POST /mutes/{id}/end":       p.endMute,
		"POST /alerts/{id}/ack":      p.acknowledge,
		"/":                          p.notFound, // without a method: others may serve a path below it with any
	} {
		mux.Handle(pattern, p.page(handle))
	}
	mux.HandleFunc("GET /assets/{name}", assets.Serve)
	mux.Handle("GET /api/v1/stream", p.hub)
}

// handler answers a request with a page, or the error that says why there is none.
type handler func(r *http.Request) (*answer, error)

// answer is a page, or where to look next.
type answer struct {
	// template is that of what stands between the head and the foot of the page.
	template string
	title    string
	// nav is the path of the entry of the navigation that the page belongs to.
	nav    string
	status int // 200 if 0
	data   any
	// next is a path to look at instead.
	next string

	snapshot *fleet.Snapshot
	// id is that of the snapshot, view the address of the live view, shown what it shows; ""
	// and nil for a page that does not change by itself.
	id, view string
	shown    *shown
}

// problem is an error that a page explains.
type problem struct {
	status int
	// text says what is wrong, fix what to do.
	text, fix string
}

func (p *problem) Error() string { return p.text }

// contentPolicy allows nothing but what comes from here, and no page to frame it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// page makes a handler of HTTP.
func (p *Pages) page(handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")

		a, err := handle(r)
		if err != nil {
			a = p.explain(err)
		}
		if a.next != "" {
			http.Redirect(w, r, a.next, http.StatusSeeOther)
			return
		}
		var b bytes.Buffer
		if err := p.render(&b, r, a); err != nil {
			p.few.Error().Err(err).Str("path", r.URL.Path).Msg("page could not be rendered")
			http.Error(w, "this page could not be rendered, the log says why", http.StatusInternalServerError)
			return
		}

		header.Set("Content-Type", "text/html; charset=utf-8")
		if a.status != 0 {
			w.WriteHeader(a.status)
		}
		_, _ = w.Write(b.Bytes()) // it is the visitor's loss
	})
}

// explain makes a page of an error.
func (p *Pages) explain(err error) *answer {
	wrong := &problem{
		status: http.StatusServiceUnavailable, text: err.Error(),
		fix: "Try again; `supernats doctor` checks what is wrong.",
	}
	var known *problem
	var refusal interface {
		HTTPStatus() int
		Fix() string
	}
	switch {
	case errors.As(err, &known):
		wrong = known
	case errors.As(err, &refusal):
		wrong.status, wrong.fix = refusal.HTTPStatus(), refusal.Fix()
	}
	s := p.Fleet.Snapshot()
	return &answer{
		template: "problem", title: http.StatusText(wrong.status), status: wrong.status, snapshot: s,
		data: map[string]string{"Text": sentence(wrong.text), "Fix": sentence(wrong.fix)},
	}
}

// sentence begins a text with a capital and ends it with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}

func (p *Pages) notFound(r *http.Request) (*answer, error) {
	return nil, &problem{
		status: http.StatusNotFound, text: "there is no page " + look.Clip(r.URL.Path),
		fix: "The pages are Fleet, Alerts, Events and Silences, above.",
	}
}

// reader reads from NATS.
func (p *Pages) reader() (*inspect.Reader, error) {
	js := p.JetStream()
	if js == nil {
		return nil, &problem{
			status: http.StatusServiceUnavailable,
			text:   "NATS cannot be reached, so what it has stored cannot be shown",
			fix:    "The page shows it as soon as NATS is back. What is known of the fleet is on the page Fleet.",
		}
	}
	return &inspect.Reader{JS: js}, nil
}
