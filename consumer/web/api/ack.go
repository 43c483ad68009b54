package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"supernats/consumer/acknowledge"
	"supernats/consumer/inspect"
	"supernats/consumer/web/site"
	"supernats/schema"
)

// ackSuffix is after the path of an incident, whose id has slashes of its own.
const ackSuffix = "/ack"

// ackRequest is what somebody says of an incident.
type ackRequest struct {
	Reason string          `json:"reason"`
	For    schema.Duration `json:"for"`
}

// acknowledgement is the answer: who takes care of an incident.
type acknowledgement struct {
	Incident     string                  `json:"alert"`
	Acknowledged *schema.Acknowledgement `json:"acknowledged"`
}

// pendingAck is the answer while no consumer has taken what is stored.
type pendingAck struct {
	Incident string `json:"alert"`
	Hint     string `json:"hint"`
}

// createAck answers POST /api/v1/alerts/{id}/ack.
func (a *API) createAck(r *http.Request) (any, error) {
	id, err := a.toBeAcknowledged(r)
	if err != nil {
		return nil, err
	}
	var said ackRequest
	if err := readBody(r, &said); err != nil {
		return nil, err
	}
	q := acknowledge.Request{
		Incident: id, By: site.VisitorOf(r).Author(), Reason: said.Reason, For: time.Duration(said.For),
	}
	if err := q.Check(); err != nil {
		return nil, badRequest(err)
	}

	record, err := a.sendAck(r, q)
	switch {
	case errors.Is(err, acknowledge.ErrPending):
		return accepted{pendingAck{id, err.Error()}}, nil
	case err != nil:
		return nil, err
	}
	a.Log.Info().Str("alert", id).Str("author", q.By).Str("reason", q.Reason).Msg("alert is acknowledged")
	return created{acknowledgement{id, record.Acknowledged}}, nil
}

// endAck answers DELETE /api/v1/alerts/{id}/ack.
func (a *API) endAck(r *http.Request) (any, error) {
	id, err := a.toBeAcknowledged(r)
	if err != nil {
		return nil, err
	}
	q := acknowledge.Request{Incident: id, By: site.VisitorOf(r).Author(), Withdraw: true}
	_, err = a.sendAck(r, q)
	switch {
	case errors.Is(err, acknowledge.ErrPending):
		return accepted{pendingAck{id, err.Error()}}, nil
	case err != nil:
		return nil, err
	}
	a.Log.Info().Str("alert", id).Str("author", q.By).Msg("alert is no longer acknowledged")
	return nil, nil
}

// toBeAcknowledged returns the id of the incident that a request is about.
func (a *API) toBeAcknowledged(r *http.Request) (id string, err error) {
	id, ok := strings.CutSuffix(r.PathValue("id"), ackSuffix)
	if !ok {
		return "", methodNotAllowed{"GET, HEAD, OPTIONS"}
	}
	if !a.Site.Allows(site.AllowAck) {
		return "", site.NewProblem(http.StatusForbidden,
			"incidents cannot be acknowledged here: web.allow in the configuration lacks ack; use `supernats ack`")
	}
	return id, nil
}

// sendAck hands a request on, and waits until it has effect.
func (a *API) sendAck(r *http.Request, q acknowledge.Request) (record *schema.Alert, err error) {
	err = a.read(r, func(ctx context.Context, reader *inspect.Reader) error {
		record, err = acknowledge.Send(ctx, reader, q)
		return err
	})
	switch {
	case errors.Is(err, acknowledge.ErrNone):
		return nil, inspect.ErrNoIncident
	case errors.Is(err, acknowledge.ErrOver), errors.Is(err, acknowledge.ErrNotAcknowledged):
		return nil, site.NewProblem(http.StatusConflict, err.Error())
	}
	return record, err
}
