package page

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/web/live"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
)

// view is what a page shows of the fleet. It shows the same for every visitor.
type view interface {
	// show returns what a snapshot looks like at a time.
	show(s *fleet.Snapshot, now look.Clock) (*shown, error)
	// complete adds what is not in a snapshot, for one visitor.
	complete(r *http.Request, a *answer) error
}

// shown is a frame with the rest of its page.
type shown struct {
	live.Frame
	pages *Pages
	// template is that of the page, nav the path of its entry in the navigation.
	template, nav, title string
	// data is for the template of the page.
	data any
}

// begin returns the frame of a page with its status line.
func (p *Pages) begin(template, nav, title string, s *fleet.Snapshot, now look.Clock) (*shown, error) {
	status, err := p.fragment("status", look.StatusOf(s, now))
	return &shown{pages: p, template: template, nav: nav, title: title, Frame: live.Frame{Status: status}}, err
}

// List returns the rows of a list, for templates.
func (s *shown) List(name string) (rows []template.HTML) {
	for _, r := range s.Rows {
		if r.List == name {
			rows = append(rows, template.HTML(r.HTML)) // a template has made it
		}
	}
	return rows
}

// add renders a row of a list with a template that has its name.
func (s *shown) add(template, list, id string, data any) error {
	html, err := s.pages.fragment(template, data)
	if err != nil {
		return err
	}
	s.Rows = append(s.Rows, live.Row{List: list, ID: id, HTML: html})
	return nil
}

// addRow renders a line of a list.
func (s *shown) addRow(list string, r look.Row) error { return s.add("row", list, r.ID, r) }

// notes are what a page says about its lists, in elements that change with them.
type notes struct {
	// total is how much the lists are of, none says why there is nothing in them.
	total, none string
	// noneIn is the template of none.
	noneIn string
}

func (s *shown) addNotes(n notes) error {
	if err := s.add("total", "totals", "total", n.total); err != nil || n.none == "" {
		return err
	}
	return s.add(cmp.Or(n.noneIn, "none"), "why", "none", n.none)
}

// fragment renders a part of a page.
func (p *Pages) fragment(name string, data any) (string, error) {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("render %s: %w", name, err)
	}
	return strings.TrimSpace(b.String()), nil
}

// parseView returns what shows an address: "/hosts/web1?sort=name".
func (p *Pages) parseView(address string) (view, error) {
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, "/") || len(address) > maxAddress {
		return nil, fmt.Errorf("%.100q is no address of a page", address)
	}
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, part := range parts {
		if parts[i], err = url.PathUnescape(part); err != nil {
			return nil, fmt.Errorf("%.100q is no address of a page", address)
		}
	}

	q := u.Query()
	switch {
	case u.Path == "/":
		return p.newHomeView(q)
	case len(parts) == 2 && parts[0] == "hosts":
		return p.newHostView(parts[1], q)
	case len(parts) == 4 && parts[0] == "processes":
		return &processView{pages: p, host: parts[1], group: parts[2], process: parts[3]}, nil
	case u.Path == "/alerts":
		return p.newAlertsView(q)
	case len(parts) >= 2 && parts[0] == "alerts" && parts[1] != "":
		return &incidentView{pages: p, id: strings.Join(parts[1:], "/")}, nil
	case u.Path == "/events":
		return p.newEventsView(q)
	case u.Path == "/mutes":
		return &mutesView{pages: p}, nil
	}
	return nil, fmt.Errorf("%.100q is no address of a page", address)
}

// maxAddress bounds the address of a view, in bytes.
const maxAddress = 2000

// serveView answers with the page of a view.
func (p *Pages) serveView(r *http.Request) (*answer, error) {
	address := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.RawQuery
	}
	v, err := p.parseView(address)
	if err != nil {
		return nil, &look.Problem{
			Status: http.StatusBadRequest, Text: err.Error(),
			Fix: "Correct the address, or start from the page Fleet.",
		}
	}

	s := p.hub.Snapshot()
	if !s.Status.Loaded {
		return nil, &look.Problem{
			Status: http.StatusServiceUnavailable, Text: "nothing can be shown yet: " + s.Status.Why,
			Fix: "This takes seconds after a start, and as long as NATS cannot be reached. " +
				"The page tries again by itself.",
		}
	}

	// When something happens, all who look at a page get it again: it is made once.
	what := fmt.Sprint(address, " ", s.Version, p.feed.Last(), site.VisitorOf(r), p.troubles())
	body, err := p.bodies.Get(r.Context(), what, func(ctx context.Context) ([]byte, error) {
		return p.viewBody(r.WithContext(ctx), v, address, s)
	})
	return &answer{body: body}, err
}

// viewBody renders the page of a view.
func (p *Pages) viewBody(r *http.Request, v view, address string, s *fleet.Snapshot) ([]byte, error) {
	shown, err := v.show(s, look.ClockOf(s))
	if err != nil {
		return nil, err
	}
	a := &answer{
		template: shown.template, title: shown.title, nav: shown.nav, snapshot: s, view: address, shown: shown,
		data: shown.data,
	}
	if err := v.complete(r, a); err != nil {
		return nil, err
	}
	a.id = p.hub.ID(s, a.news)
	return p.body(r, a)
}

// layout is what the frame of a page needs.
type layout struct {
	Title, Nav, Search string
	// View and ID are for the script: what to follow, and from when on.
	View, ID string
	// Stale says that the fleet is not up to date, Retry that the page has to be got again: no form,
	// which would lose what was typed.
	Stale, Retry bool
	Status       template.HTML
	// Troubles are what is wrong with this instance itself.
	Troubles []string
	Summary  string
	Version  string
	// Now is the server's time in milliseconds since 1970: a browser may have another one.
	Now int64
	// MayMute says that the visitor may make silences.
	MayMute bool
	Shown   *shown
	Data    any
	Body    template.HTML
}

// render writes a whole page.
func (p *Pages) render(b *bytes.Buffer, r *http.Request, a *answer) error {
	l := &layout{
		Title: a.title, Nav: a.nav, Search: r.URL.Query().Get("q"), View: a.view, ID: a.id, Version: p.Version,
		Now: time.Now().UnixMilli(), Troubles: p.troubles(),
		Retry:   a.status == http.StatusServiceUnavailable && a.template == "problem" && r.Method == http.MethodGet,
		MayMute: p.actions.MayMute(), Shown: a.shown, Data: a.data,
	}
	s := a.snapshot
	if s == nil {
		s = p.Fleet.Snapshot()
	}
	l.Stale = !s.Status.Live
	status, err := p.fragment("status", look.StatusOf(s, look.ClockOf(s)))
	if err != nil {
		return err
	}
	l.Status = template.HTML(status)

	body, err := p.fragment(a.template, l)
	if err != nil {
		return err
	}
	l.Body = template.HTML(body)
	return p.templates.ExecuteTemplate(b, "layout", l)
}

// code is a text in HTML, with what stands between backquotes as code.
func code(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String())
}
