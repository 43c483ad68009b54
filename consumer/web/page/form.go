package page

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/fleet"
	"supernats/consumer/silences"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/stream"
)

// Acknowledger records that somebody takes care of an incident. Its errors may have methods
// HTTPStatus and Fix, which say what page explains them.
type Acknowledger interface {
	// Acknowledge stops its repeats until a time; zero: until it is over.
	Acknowledge(ctx context.Context, incident, reason, by string, until time.Time) error
}

func (p *Pages) mayAcknowledge() bool { return p.Acknowledger != nil && p.Site.Allows(site.AllowAck) }

// muteForm is the form for a new silence.
type muteForm struct {
	Host, Group, Process, Rule string
	Comment, For               string
	Lasts                      []look.Choice
	// Author is under which name it is made.
	Author string
	// Covers is what it would match, "" while the form is empty.
	Covers string
	// Wrong says what to correct, Field in which field.
	Wrong, Field string
}

// maxForm bounds what a form may send, in bytes.
const maxForm = 64 << 10

// showMuteForm shows the form, filled in from the address. It makes nothing.
func (p *Pages) showMuteForm(r *http.Request) (*answer, error) {
	if !p.mayMute() {
		return nil, errReadOnly
	}
	return p.muteFormPage(r, r.URL.Query(), "", ""), nil
}

// errReadOnly says that this page changes nothing.
var errReadOnly = &problem{
	status: http.StatusForbidden, text: "silences cannot be made on this page",
	fix: "`supernats mute` makes them; `web: {allow: [mute]}` in the configuration allows it here.",
}

func (p *Pages) muteFormPage(r *http.Request, q url.Values, wrong, field string) *answer {
	s := p.Fleet.Snapshot()
	form := &muteForm{
		Host: strings.Join(listOf(q, "host"), ", "), Group: strings.Join(listOf(q, "group"), ", "),
		Process: strings.Join(listOf(q, "process"), ", "), Rule: strings.Join(listOf(q, "rule"), ", "),
		Comment: q.Get("comment"), For: cmp.Or(q.Get("for"), "1h"), Author: site.VisitorOf(r).Author(),
		Wrong: sentence(wrong), Field: field,
	}
	form.Lasts = look.LastsChoices(form.For)
	if form.Host+form.Group+form.Process+form.Rule != "" {
		m, _, _ := muteOf(q, form.Author, time.Now()) // what is missing is asked for later
		form.Covers = look.Coverage(m, s)
	}
	a := &answer{template: "mute-form", title: "New silence", nav: "/mutes", snapshot: s, data: form}
	if wrong != "" {
		a.status = http.StatusUnprocessableEntity
	}
	return a
}

// muteOf reads a form; field is where an error is.
func muteOf(q url.Values, author string, now time.Time) (m *schema.Mute, field string, err error) {
	m = &schema.Mute{
		Hosts: globsOf(q, "host"), Groups: globsOf(q, "group"),
		Processes: globsOf(q, "process"), Rules: globsOf(q, "rule"),
		Comment: strings.TrimSpace(q.Get("comment")), Author: author, Created: schema.Time{Time: schema.Instant(now)},
	}
	d, ok := lasting(q.Get("for"))
	m.Expires = silences.RoundExpiry(m.Created.Time, d)
	switch {
	case len(m.Hosts)+len(m.Groups)+len(m.Processes)+len(m.Rules) == 0:
		return m, "host", errors.New("nothing says what to silence: give a host, a group, a process or a rule; " +
			"* as the host is every alert")
	case !ok:
		return m, "for", errors.New("how long it lasts is missing: want 30m, 2h, 1d")
	case m.Comment == "":
		return m, "comment", errors.New("the reason is missing: say why, for those who wonder why nobody was notified")
	}
	err = silences.Check(m)
	if err != nil {
		field, _, _ = strings.Cut(err.Error(), ":")
	}
	return m, field, err
}

// globsOf reads globs with commas between them.
func globsOf(q url.Values, key string) []string {
	return listOf(url.Values{key: schema.SplitGlobs(q[key])}, key)
}

// mutes opens the bucket of silences.
func (p *Pages) mutes(ctx context.Context) (jetstream.KeyValue, error) {
	r, err := p.reader()
	if err != nil {
		return nil, err
	}
	return r.OpenBucket(ctx, stream.MutesBucket)
}

// makeMute makes the silence that the form describes.
func (p *Pages) makeMute(r *http.Request) (*answer, error) {
	if !p.mayMute() {
		return nil, errReadOnly
	}
	if err := parseForm(r); err != nil {
		return nil, err
	}
	m, field, err := muteOf(r.PostForm, site.VisitorOf(r).Author(), time.Now())
	if err != nil {
		return p.muteFormPage(r, r.PostForm, err.Error(), field), nil
	}
	kv, err := p.mutes(r.Context())
	if err == nil {
		err = silences.Store(r.Context(), kv, m)
	}
	if err != nil {
		return nil, err
	}

	p.Log.Info().Str("id", m.ID).Str("author", m.Author).Str("comment", m.Comment).Msg("silence was made on the page")
	p.waitFor(r.Context(), func(s *fleet.Snapshot) bool { return hasMute(s, m.ID) })
	return &answer{next: p.Site.Path("/mutes?" + url.Values{"made": {m.ID}}.Encode())}, nil
}

// endMute ends a silence.
func (p *Pages) endMute(r *http.Request) (*answer, error) {
	if !p.mayMute() {
		return nil, errReadOnly
	}
	id := r.PathValue("id")
	kv, err := p.mutes(r.Context())
	if err == nil {
		err = silences.End(r.Context(), kv, id)
	}
	if errors.Is(err, silences.ErrNone) {
		return nil, &problem{
			status: http.StatusNotFound, text: "no silence " + look.Name(id) + " is in force",
			fix: "It has ended already; the page Silences lists those that are.",
		}
	}
	if err != nil {
		return nil, err
	}

	p.Log.Info().Str("id", id).Str("author", site.VisitorOf(r).Author()).Msg("silence was ended on the page")
	p.waitFor(r.Context(), func(s *fleet.Snapshot) bool { return !hasMute(s, id) })
	return &answer{next: p.Site.Path("/mutes?" + url.Values{"ended": {id}}.Encode())}, nil
}

func hasMute(s *fleet.Snapshot, id string) bool {
	for i := range s.Mutes {
		if s.Mutes[i].ID == id {
			return true
		}
	}
	return false
}

// acknowledge records that the visitor takes care of an incident.
func (p *Pages) acknowledge(r *http.Request) (*answer, error) {
	if !p.mayAcknowledge() {
		return nil, &problem{
			status: http.StatusForbidden, text: "incidents cannot be acknowledged on this page",
			fix: "`web: {allow: [ack]}` in the configuration allows it.",
		}
	}
	if err := parseForm(r); err != nil {
		return nil, err
	}
	reason := strings.TrimSpace(r.PostForm.Get("reason"))
	if reason == "" {
		return nil, &problem{
			status: http.StatusUnprocessableEntity, text: "the reason is missing",
			fix: "Go back and say who does what.",
		}
	}
	until := time.Time{}
	if d, ok := lasting(r.PostForm.Get("for")); ok {
		until = time.Now().Add(d)
	}

	id, by := r.PathValue("id"), site.VisitorOf(r).Author()
	if err := p.Acknowledger.Acknowledge(r.Context(), id, reason, by, until); err != nil {
		return nil, err
	}
	p.Log.Info().Str("alert", id).Str("author", by).Msg("incident was acknowledged on the page")
	return &answer{next: p.Site.Path(site.AlertPath(id))}, nil
}

func parseForm(r *http.Request) error {
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return &problem{
			status: http.StatusBadRequest, text: "the form cannot be read: " + err.Error(),
			fix: "Send it again from the page.",
		}
	}
	return nil
}

// shownWithin is how long it may take until the fleet shows what was changed.
const shownWithin = 2 * time.Second

// waitFor waits until the fleet shows something, so that the next page has it.
func (p *Pages) waitFor(ctx context.Context, holds func(*fleet.Snapshot) bool) {
	ctx, cancel := context.WithTimeout(ctx, shownWithin)
	defer cancel()
	changed, stop := p.Fleet.Subscribe()
	defer stop()
	for !holds(p.Fleet.Snapshot()) {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
