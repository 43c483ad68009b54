package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"

	"supernats/consumer"
	"supernats/consumer/fleet"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/web/site"
	"supernats/schema"
)

// listEvents answers GET /api/v1/events: those of the stream, the newest first.
func (a *API) listEvents(r *http.Request) (any, error) {
	p := paramsOf(r)
	q := history.NewestQuery{
		Filter: consumer.Filter{
			Hosts: p.list("host"), Groups: p.list("group"), Processes: p.list("process"), Events: p.list("event"),
		},
		Since: p.time("since", time.Now()), Limit: p.limit(),
	}
	if err := q.Filter.Check(); err != nil {
		p.fail("%v", err)
	}
	if token := p.text("page_token"); token != "" {
		number, bad := base64.RawURLEncoding.DecodeString(token)
		before, err := strconv.ParseUint(string(number), 10, 64)
		if bad != nil || err != nil || before == 0 {
			p.fail("%v", fleet.ErrToken)
		}
		q.Before = before
	}
	if err := p.check(); err != nil {
		return nil, err
	}

	var found *history.Newest
	err := a.read(r, func(ctx context.Context, reader *inspect.Reader) (err error) {
		found, err = reader.History().Newest(ctx, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	return eventsAnswer(a.Fleet.Snapshot(), found, site.VisitorOf(r).IsTrusted()), nil
}

// events are a page of the stream, the newest first.
type events struct {
	Events []history.StoredEvent `json:"events"`
	Next   string                `json:"next_page_token,omitempty"`
	// SearchedTo is how far back was looked, if there was no time to look further.
	SearchedTo *schema.Time `json:"searched_to,omitempty"`
	Hint       string       `json:"hint,omitempty"`
	Status     Status       `json:"status"`
}

func eventsAnswer(s *fleet.Snapshot, found *history.Newest, trusted bool) events {
	answer := events{Events: []history.StoredEvent{}, Status: statusOf(s)}
	for _, e := range found.Events {
		if !trusted {
			e = withoutOutput(e)
		}
		answer.Events = append(answer.Events, e)
	}
	if found.More {
		answer.Next = base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatUint(found.Next, 10)))
	}
	if !found.SearchedTo.IsZero() {
		answer.SearchedTo = &schema.Time{Time: found.SearchedTo}
	}
	if len(answer.Events) == 0 {
		answer.Hint = "no event in the stream matches the filters"
	}
	return answer
}

// withoutOutput is an event without what programs have written: that may hold secrets.
func withoutOutput(e history.StoredEvent) history.StoredEvent {
	ce, data := *e.CloudEvent, *e.Data
	data.Log, data.Data, data.DataBase64 = nil, nil, nil
	ce.Data = &data
	e.CloudEvent = &ce
	return e
}
