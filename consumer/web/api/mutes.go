package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"supernats/consumer/inspect"
	"supernats/consumer/silences"
	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/stream"
)

// listMutes answers GET /api/v1/mutes: those in force, oldest first.
func (a *API) listMutes(r *http.Request) (any, error) {
	if err := paramsOf(r).check(); err != nil {
		return nil, err
	}
	s := a.Fleet.Snapshot()
	answer := struct {
		Mutes  []inspect.Mute `json:"mutes"`
		Status Status         `json:"status"`
	}{[]inspect.Mute{}, statusOf(s)}
	for i := range s.Mutes {
		m := inspect.Mute{Mute: s.Mutes[i], Alerts: []string{}}
		for _, found := range s.Alerts {
			if found.Phase != schema.PhaseResolved && inspect.Silences(&m.Mute, &found.Alert) {
				m.Alerts = append(m.Alerts, found.Incident)
			}
		}
		answer.Mutes = append(answer.Mutes, m)
	}
	return answer, nil
}

// muteRequest is what somebody asks to be silenced.
type muteRequest struct {
	Hosts     []string        `json:"hosts"`
	Groups    []string        `json:"groups"`
	Processes []string        `json:"processes"`
	Rules     []string        `json:"rules"`
	All       bool            `json:"all"`
	Comment   string          `json:"comment"`
	For       schema.Duration `json:"for"`
}

// createMute answers POST /api/v1/mutes.
func (a *API) createMute(r *http.Request) (any, error) {
	if err := a.mayMute(); err != nil {
		return nil, err
	}
	var wanted muteRequest
	if err := readBody(r, &wanted); err != nil {
		return nil, err
	}
	chooses := len(wanted.Hosts)+len(wanted.Groups)+len(wanted.Processes)+len(wanted.Rules) > 0
	if chooses == wanted.All {
		return nil, badRequest(errors.New("want hosts, groups, processes or rules, or all: true for every alert"))
	}

	now := time.Now()
	m := inspect.Mute{Alerts: []string{}, Mute: schema.Mute{
		Hosts: wanted.Hosts, Groups: wanted.Groups, Processes: wanted.Processes, Rules: wanted.Rules,
		Comment: wanted.Comment, Author: site.VisitorOf(r).Author(),
		Created: schema.Time{Time: now}, Expires: silences.RoundExpiry(now, time.Duration(wanted.For)),
	}}
	if err := silences.Check(&m.Mute); err != nil {
		return nil, badRequest(err)
	}
	err := a.read(r, func(ctx context.Context, reader *inspect.Reader) error {
		kv, err := reader.OpenBucket(ctx, stream.MutesBucket)
		if err != nil {
			return err
		}
		return silences.Store(ctx, kv, &m.Mute)
	})
	if err != nil {
		return nil, err
	}

	a.Log.Info().Str("mute", m.ID).Str("author", m.Author).Str("comment", m.Comment).Msg("silence is in force")
	for _, found := range a.Fleet.Snapshot().Alerts {
		if found.Phase != schema.PhaseResolved && inspect.Silences(&m.Mute, &found.Alert) {
			m.Alerts = append(m.Alerts, found.Incident)
		}
	}
	return created{m}, nil
}

// endMute answers DELETE /api/v1/mutes/{id}.
func (a *API) endMute(r *http.Request) (any, error) {
	if err := a.mayMute(); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	err := a.read(r, func(ctx context.Context, reader *inspect.Reader) error {
		kv, err := reader.OpenBucket(ctx, stream.MutesBucket)
		if err != nil {
			return err
		}
		return silences.End(ctx, kv, id)
	})
	if errors.Is(err, silences.ErrNone) {
		return nil, problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("no silence %q is in force", id)}
	}
	if err != nil {
		return nil, err
	}
	a.Log.Info().Str("mute", id).Str("author", site.VisitorOf(r).Author()).Msg("silence was ended")
	return nil, nil
}

func (a *API) mayMute() error {
	if a.Site.Allows(site.AllowMute) {
		return nil
	}
	return problem{
		Status: http.StatusForbidden,
		Detail: "silences cannot be changed here: web.allow in the configuration lacks mute; use `supernats mute`",
	}
}

// readBody reads the JSON of a request, in which nothing may be unknown.
func readBody(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.Decode(new(any)) != io.EOF {
		err = errors.New("there is something after it")
	}
	var tooLarge *http.MaxBytesError
	if err == nil || errors.As(err, &tooLarge) {
		return err
	}
	return badRequest(fmt.Errorf("body: want one JSON object: %w", err))
}
