// Package page serves the pages for people: what is wrong first, then the fleet, its hosts,
// processes, alerts, events and silences.
//
// Every page is whole without JavaScript; with it, what changes is replaced as it happens
// (see package live). Names, logs and comments come from others: html/template escapes
// them, and package wording makes them visible and short. Log tails are shown only to those
// who are logged in, or sit at this machine.
//
// Under pressure: a page shows at most 100 entries of a list, 200 events of a process or 500
// facts of an incident. What it reads from the streams takes ten seconds at most, and is read
// and rendered once for all who look at the same within a second (see package shared). What
// shows the fleet alone reads nothing from NATS, and works while NATS is away: its status line
// says since when.
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
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/fleet"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/web/feed"
	"supernats/consumer/web/live"
	"supernats/consumer/web/page/action"
	"supernats/consumer/web/page/assets"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/page/shared"
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
	Acknowledger action.Acknowledger
	// Troubles returns what is wrong with this instance itself, a sentence each; nil: nothing.
	Troubles func() []string
	Version  string
	Log      zerolog.Logger
}

// troubles returns what is wrong with this instance itself.
func (p *Pages) troubles() []string {
	if p.Troubles == nil {
		return nil
	}
	return p.Troubles()
}

// Pages serves the pages. Run keeps those that are open up to date.
type Pages struct {
	Options
	templates *template.Template
	hub       *live.Hub
	feed      *feed.Feed
	crashes   *history.CrashLog
	// reads are of the stream, bodies of pages: all who look at one get the same.
	reads     shared.Results[*history.Newest]
	incidents shared.Results[*inspect.Incident]
	bodies    shared.Results[[]byte]
	actions   *action.Room
	// few logs what each request and each snapshot may repeat.
	few zerolog.Logger
}

// New returns the pages.
func New(o Options) *Pages {
	p := &Pages{
		Options: o, crashes: &history.CrashLog{},
		actions: &action.Room{
			Site: o.Site, Fleet: o.Fleet, JetStream: o.JetStream, Acknowledger: o.Acknowledger, Log: o.Log,
		},
		few: o.Log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Hour}),
	}
	funcs := template.FuncMap{
		"code":  code,
		"path":  o.Site.Path,
		"asset": func(name string) string { return o.Site.Path(assets.Path(name)) },
	}
	p.templates = template.Must(template.New("").Funcs(funcs).ParseFS(templateFiles, "templates/*.html"))
	p.feed = feed.New(o.JetStream, o.Log)
	p.hub = live.New(live.Options{
		Source: o.Fleet, NewsChanged: p.feed.Changed(), Max: o.Site.MaxStreams(), Open: p.openView,
	})
	return p
}

// openView returns what a view shows live.
func (p *Pages) openView(r *http.Request, address string) (*live.View, error) {
	v, err := p.parseView(address)
	if err != nil {
		return nil, err
	}
	opened := &live.View{
		Key:    address,
		Render: func(s *fleet.Snapshot) (*live.Frame, error) { return p.frameOf(v, s) },
	}
	if events, ok := v.(*eventsView); ok && events.isOpenEnded() {
		trusted := site.VisitorOf(r).IsTrusted()
		opened.Key = fmt.Sprint(address, " ", trusted)
		opened.News = &eventNews{Feed: p.feed, view: events, trusted: trusted}
	}
	return opened, nil
}

// frameOf returns what a view shows live.
func (p *Pages) frameOf(v view, s *fleet.Snapshot) (frame *live.Frame, err error) {
	defer p.recoverIn(v, &err)
	shown, err := v.show(s, look.Clock{})
	if err != nil {
		return nil, err
	}
	return &shown.Frame, nil
}

// recoverIn makes a mistake of ours in a view an error: it must not end the daemon, but the
// view, as in a handler of net/http.
func (p *Pages) recoverIn(v view, err *error) {
	if broken := recover(); broken != nil {
		*err = fmt.Errorf("%T is broken: %v", v, broken)
		p.few.Error().Err(*err).Bytes("stack", debug.Stack()).Msg("page cannot be kept up to date")
	}
}

// Run counts crashes and keeps open pages up to date until ctx ends.
func (p *Pages) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.hub.Run(ctx) })
	g.Go(func() error { return p.feed.Run(ctx) })
	g.Go(func() error {
		return p.crashes.Run(ctx, p.JetStream, func(err error) {
			p.Log.Debug().Err(err).Msg("crashes cannot be counted for the page")
		})
	})
	return g.Wait()
}

// Register adds the pages. Where there is no page, an error page says so.
func (p *Pages) Register(mux *http.ServeMux) {
	for pattern, handle := range map[string]handler{
		"GET /{$}":                   p.serveView,
		"GET /hosts/{host}":          p.serveView,
		"GET /processes/{h}/{g}/{p}": p.serveView,
		"GET /alerts":                p.serveView,
		"GET /alerts/{id...}":        p.serveView, // ids have slashes, encoded or not
		"GET /events":                p.serveView,
		"GET /mutes":                 p.serveView,
		"/":                          p.notFound, // without a method: others may serve a path below it with any
	} {
		mux.Handle(pattern, p.page(handle))
	}
	for pattern, act := range p.actions.Handlers() {
		mux.Handle(pattern, p.page(func(r *http.Request) (*answer, error) { return answerOf(act(r)) }))
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
	// news is the place in the stream up to which the page has its events.
	news uint64
	// body is the page if it was rendered already.
	body []byte
}

// answerOf makes a page of what an action answers.
func answerOf(a *action.Answer, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return &answer{
		template: a.Template, title: a.Title, nav: a.Nav, status: a.Status, data: a.Form, next: a.Next,
		snapshot: a.Snapshot,
	}, nil
}

// page makes a handler of HTTP.
func (p *Pages) page(handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		site.SetHeaders(header)
		a, err := handle(r)
		if err != nil {
			a = p.explain(err)
		}
		if a.next != "" {
			http.Redirect(w, r, a.next, http.StatusSeeOther)
			return
		}
		if a.body == nil {
			if a.body, err = p.body(r, a); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}

		header.Set("Content-Type", "text/html; charset=utf-8")
		if a.status == http.StatusMethodNotAllowed {
			header.Set("Allow", http.MethodPost)
		}
		if a.status != 0 {
			w.WriteHeader(a.status)
		}
		_, _ = w.Write(a.body) // it is the visitor's loss
	})
}

// body renders a page.
func (p *Pages) body(r *http.Request, a *answer) ([]byte, error) {
	var b bytes.Buffer
	if err := p.render(&b, r, a); err != nil {
		p.few.Error().Err(err).Str("path", r.URL.Path).Msg("page could not be rendered")
		return nil, errors.New("this page could not be rendered, the log says why")
	}
	return b.Bytes(), nil
}

// explain makes a page of an error.
func (p *Pages) explain(err error) *answer {
	wrong := &look.Problem{
		Status: http.StatusServiceUnavailable, Text: err.Error(),
		Fix: "Try again; `supernats doctor` checks what is wrong.",
	}
	var known *look.Problem
	if errors.As(err, &known) {
		wrong = known
	}
	s := p.Fleet.Snapshot()
	return &answer{
		template: "problem", title: http.StatusText(wrong.Status), status: wrong.Status, snapshot: s,
		data: map[string]string{"Text": look.Sentence(wrong.Text), "Fix": look.Sentence(wrong.Fix)},
	}
}

func (p *Pages) notFound(r *http.Request) (*answer, error) {
	return nil, &look.Problem{
		Status: http.StatusNotFound, Text: "there is no page " + look.Clip(r.URL.Path),
		Fix: "The pages are Fleet, Alerts, Events and Silences, above.",
	}
}

// reader reads from NATS.
func (p *Pages) reader() (*inspect.Reader, error) {
	js := p.JetStream()
	if js == nil {
		return nil, &look.Problem{
			Status: http.StatusServiceUnavailable,
			Text:   "NATS cannot be reached, so what it has stored cannot be shown",
			Fix:    "The page shows it as soon as NATS is back. What is known of the fleet is on the page Fleet.",
		}
	}
	return &inspect.Reader{JS: js}, nil
}
