package action

import (
	"context"
	"errors"
	"net/http"
	"time"

	"supernats/consumer/acknowledge"
	"supernats/consumer/fleet"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
)

// Acknowledger records that somebody takes care of an incident, or no longer does. Both
// return when the record of the incident shows it; the errors are those of package
// acknowledge.
type Acknowledger interface {
	// Acknowledge stops its repeats for a time; 0: until it is over or gets worse.
	Acknowledge(ctx context.Context, incident, reason, by string, lasts time.Duration) error
	// Unacknowledge withdraws that.
	Unacknowledge(ctx context.Context, incident, by string) error
}

// MayAcknowledge reports whether incidents can be acknowledged here.
func (room *Room) MayAcknowledge() bool {
	return room.Acknowledger != nil && room.Site.Allows(site.AllowAck)
}

// errMayNotAck says that acknowledgements are read-only here.
var errMayNotAck = &look.Problem{
	Status: http.StatusForbidden, Text: "incidents cannot be acknowledged on this page",
	Fix: "`supernats ack` and `supernats unack` do it; `web: {allow: [ack]}` in the configuration allows it here.",
}

// ackFormData is the form that acknowledges an incident, on a page of its own.
type ackFormData struct {
	Who, Why string
	// AlertPath is the page of the incident.
	AlertPath string
	// Taken says who takes care of it already.
	Taken string
	Form  *AckForm
}

// showAckForm shows the form, filled in from the address. It acknowledges nothing.
func (room *Room) showAckForm(r *http.Request) (*Answer, error) {
	if !room.MayAcknowledge() {
		return nil, errMayNotAck
	}
	id := r.PathValue("id")
	return room.ackForm(id, AckFormOf(r.URL.Query(), id, site.VisitorOf(r).Author()), nil)
}

// ackForm shows the form, with the error for which it is shown again.
func (room *Room) ackForm(id string, f *AckForm, err error) (*Answer, error) {
	s := room.Fleet.Snapshot()
	a := s.Alert(id)
	switch {
	case a == nil:
		return nil, explainAck(acknowledge.ErrNone, id)
	case !a.IsOpen():
		return nil, explainAck(acknowledge.ErrOver, id)
	}

	f.Refusal = RefusalOf(err)
	data := &ackFormData{
		Who: look.About(&a.Alert), Why: look.AlertWhy(&a.Alert), AlertPath: site.AlertPath(id),
		Taken: look.AckText(a), Form: f,
	}
	return &Answer{
		Template: "ack-form", Title: "Acknowledge " + data.Who, Nav: "/alerts", Status: refusalStatus(err), Snapshot: s,
		Form: data,
	}, nil
}

// acknowledge records that the visitor takes care of an incident.
func (room *Room) acknowledge(r *http.Request) (*Answer, error) {
	if !room.MayAcknowledge() {
		return nil, errMayNotAck
	}
	if err := parseForm(r); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	f := AckFormOf(r.PostForm, id, site.VisitorOf(r).Author())
	reason, lasts, err := f.Read()
	if err == nil {
		err = room.Acknowledger.Acknowledge(r.Context(), id, reason, f.Author, lasts)
	}
	if err = explainAck(err, id); isSettled(err) {
		return nil, err
	}
	if err != nil {
		return room.ackForm(id, f, err)
	}

	room.Log.Info().Str("alert", id).Str("author", f.Author).Str("reason", reason).
		Msg("incident was acknowledged on the page")
	room.waitFor(r.Context(), func(s *fleet.Snapshot) bool {
		a := s.Alert(id)
		return a == nil || a.IsAcknowledged() && a.Acknowledged.By == f.Author && a.Acknowledged.Reason == reason
	})
	return &Answer{Next: room.Site.Path(site.AlertPath(id))}, nil
}

// endAck withdraws an acknowledgement.
func (room *Room) endAck(r *http.Request) (*Answer, error) {
	if !room.MayAcknowledge() {
		return nil, errMayNotAck
	}
	id, by := r.PathValue("id"), site.VisitorOf(r).Author()
	if err := room.Acknowledger.Unacknowledge(r.Context(), id, by); err != nil {
		return nil, explainAck(err, id)
	}

	room.Log.Info().Str("alert", id).Str("author", by).Msg("acknowledgement was withdrawn on the page")
	room.waitFor(r.Context(), func(s *fleet.Snapshot) bool {
		a := s.Alert(id)
		return a == nil || !a.IsAcknowledged()
	})
	return &Answer{Next: room.Site.Path(site.AlertPath(id))}, nil
}

// explainAck says what has become of an acknowledgement; an error that it does not know is
// returned as it is.
func explainAck(err error, id string) error {
	switch {
	case errors.Is(err, acknowledge.ErrNone):
		return &look.Problem{
			Status: http.StatusNotFound, Text: "no incident " + look.Name(id) + " is recorded",
			Fix: "The page Alerts lists those that are.",
		}
	case errors.Is(err, acknowledge.ErrOver):
		return &look.Problem{
			Status: http.StatusConflict, Text: "the incident is not open, so nothing needs to be acknowledged",
			Fix: "The page Alerts lists it among those of the past.",
		}
	case errors.Is(err, acknowledge.ErrNotAcknowledged):
		return &look.Problem{
			Status: http.StatusConflict, Text: "nobody has acknowledged the incident",
			Fix: "It was withdrawn already, or has ended; the page of the incident says what happened.",
		}
	case errors.Is(err, acknowledge.ErrPending):
		return &look.Problem{
			Status: http.StatusAccepted, Text: "it is stored, but no active `supernats consume` has taken it yet",
			Fix: "Do not send it again: it has effect as soon as one does. `supernats doctor` says what is wrong.",
		}
	}
	return err
}

// isSettled reports whether sending a form again would change nothing.
func isSettled(err error) bool {
	var known *look.Problem
	return errors.As(err, &known)
}

// AckPath is where an incident is acknowledged; its end withdraws that.
func AckPath(id string) string { return site.AlertPath(id) + "/ack" }
