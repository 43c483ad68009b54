package action

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/silences"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
	"supernats/schema/stream"
)

// MayMute reports whether silences can be made and ended here.
func (room *Room) MayMute() bool { return room.Site.Allows(site.AllowMute) }

// errMayNotMute says that silences are read-only here.
var errMayNotMute = &look.Problem{
	Status: http.StatusForbidden, Text: "silences cannot be made on this page",
	Fix: "`supernats mute` makes them; `web: {allow: [mute]}` in the configuration allows it here.",
}

// showMuteForm shows the form, filled in from the address. It makes nothing.
func (room *Room) showMuteForm(r *http.Request) (*Answer, error) {
	if !room.MayMute() {
		return nil, errMayNotMute
	}
	return room.muteForm(MuteFormOf(r.URL.Query(), site.VisitorOf(r).Author()), nil), nil
}

// muteForm shows the form, with the error for which it is shown again.
func (room *Room) muteForm(f *MuteForm, err error) *Answer {
	s := room.Fleet.Snapshot()
	f.Look(s)
	f.Refusal = RefusalOf(err)
	return &Answer{
		Template: "mute-form", Title: "New silence", Nav: "/mutes", Status: refusalStatus(err), Snapshot: s, Form: f,
	}
}

// makeMute makes the silence that the form describes.
func (room *Room) makeMute(r *http.Request) (*Answer, error) {
	if !room.MayMute() {
		return nil, errMayNotMute
	}
	if err := parseForm(r); err != nil {
		return nil, err
	}
	f := MuteFormOf(r.PostForm, site.VisitorOf(r).Author())
	m, err := f.Silence(time.Now())
	if err != nil {
		return room.muteForm(f, err), nil
	}
	kv, err := room.mutes(r.Context())
	if err == nil {
		err = silences.Store(r.Context(), kv, m)
	}
	if err != nil {
		return room.muteForm(f, err), nil
	}

	room.Log.Info().Str("id", m.ID).Str("author", m.Author).Str("comment", m.Comment).
		Msg("silence was made on the page")
	room.waitFor(r.Context(), func(s *fleet.Snapshot) bool { return s.HasMute(m.ID) })
	return &Answer{Next: room.Site.Path("/mutes?" + url.Values{"made": {m.ID}}.Encode())}, nil
}

// endMute ends a silence.
func (room *Room) endMute(r *http.Request) (*Answer, error) {
	if !room.MayMute() {
		return nil, errMayNotMute
	}
	id := r.PathValue("id")
	kv, err := room.mutes(r.Context())
	if err == nil {
		err = silences.End(r.Context(), kv, id)
	}
	if errors.Is(err, silences.ErrNone) {
		return nil, &look.Problem{
			Status: http.StatusNotFound, Text: "no silence " + look.Name(id) + " is in force",
			Fix: "It has ended already; the page Silences lists those that are.",
		}
	}
	if err != nil {
		return nil, err
	}

	room.Log.Info().Str("id", id).Str("author", site.VisitorOf(r).Author()).Msg("silence was ended on the page")
	room.waitFor(r.Context(), func(s *fleet.Snapshot) bool { return !s.HasMute(id) })
	return &Answer{Next: room.Site.Path("/mutes?" + url.Values{"ended": {id}}.Encode())}, nil
}

// mutes opens the bucket of silences.
func (room *Room) mutes(ctx context.Context) (jetstream.KeyValue, error) {
	js := room.JetStream()
	if js == nil {
		return nil, errors.New("NATS cannot be reached, so nothing was changed: send it again when NATS is back")
	}
	return (&inspect.Reader{JS: js}).OpenBucket(ctx, stream.MutesBucket)
}
