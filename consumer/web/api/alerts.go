package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/timeline"
	"supernats/consumer/web/site"
	"supernats/schema"
)

func alertQueryOf(r *http.Request) (*fleet.AlertQuery, error) {
	p := paramsOf(r)
	q := &fleet.AlertQuery{
		Hosts: p.list("host"), Groups: p.list("group"), Processes: p.list("process"), Rules: p.list("rule"),
		Severities: p.list("severity"), Phases: p.list("phase"), Events: p.events(),
		Limit: p.limit(), Token: p.text("page_token"),
	}
	period := p.period(time.Now())
	q.Since, q.Until = period.Since, period.Until
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := q.Check(); err != nil {
		return nil, badRequest(err)
	}
	return q, nil
}

// alert is the record of an alert.
type alert struct {
	schema.Alert
	Level string `json:"level"`
	// MutedNow is the id of a silence in force that it matches.
	MutedNow string `json:"mute,omitempty"`
}

// listAlerts answers GET /api/v1/alerts: open ones first, the worst of them first.
func (a *API) listAlerts(r *http.Request) (any, error) {
	q, err := alertQueryOf(r)
	if err != nil {
		return nil, err
	}
	s, err := a.snapshot()
	if err != nil {
		return nil, err
	}
	found, err := s.ListAlerts(q)
	if err != nil {
		return nil, badRequest(err)
	}

	answer := struct {
		Alerts []alert `json:"alerts"`
		page
	}{Alerts: []alert{}, page: pageOf(s, found.Total, found.Of, found.Next, "alerts")}
	if found.Of == 0 {
		answer.Hint = "there are no alerts"
	}
	trusted := site.VisitorOf(r).IsTrusted()
	for _, item := range found.Items {
		shown := alert{item.Alert, item.Level().String(), item.Mute}
		// What is still to be notified is the consumer's own, and may be very much.
		shown.Unsent, shown.UnsentStates, shown.Matched = nil, nil, nil
		if !trusted {
			shown.Last, shown.Members = withoutLog(shown.Last), withoutLogs(shown.Members)
		}
		answer.Alerts = append(answer.Alerts, shown)
	}
	return answer, nil
}

// getAlert answers GET /api/v1/alerts/ID with its timeline, as JSON or as Markdown.
func (a *API) getAlert(r *http.Request) (any, error) {
	if strings.HasSuffix(r.PathValue("id"), ackSuffix) {
		return nil, methodNotAllowed{"POST, DELETE"}
	}
	p := paramsOf(r)
	format := cmp.Or(p.text("format"), "json")
	if format != "json" && format != "md" {
		p.fail("format: invalid value %.100q: want json or md", format)
	}
	if err := p.check(); err != nil {
		return nil, err
	}

	var story *timeline.Timeline
	err := a.read(r, func(ctx context.Context, reader *inspect.Reader) error {
		in, err := reader.Incident(ctx, r.PathValue("id"))
		if err == nil {
			story = timeline.Of(in)
		}
		return err
	})
	if err != nil {
		return nil, err
	}

	trusted := site.VisitorOf(r).IsTrusted()
	if !trusted {
		for i := range story.Facts {
			story.Facts[i].Log = nil
		}
	}
	if format == "md" {
		var b strings.Builder
		if err := story.Markdown(&b, time.Now(), trusted); err != nil {
			return nil, err
		}
		return text{"text/markdown; charset=utf-8", b.String()}, nil
	}
	return story, nil
}

// withoutLog is an event that matched, without what the process has written.
func withoutLog(e *schema.AlertEvent) *schema.AlertEvent {
	if e == nil || e.Log == nil {
		return e
	}
	bare := *e
	bare.Log = nil
	return &bare
}

// withoutLogs are the processes of an alert, without what they have written.
func withoutLogs(members []schema.AlertMember) []schema.AlertMember {
	bare := slices.Clone(members)
	for i := range bare {
		bare[i].State = withoutLog(bare[i].State)
	}
	return bare
}
