package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
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
			Hosts: p.list("host"), Groups: p.list("group"), Processes: p.list("process"), Events: p.events(),
		},
		Limit: p.limit(),
	}
	if err := q.Filter.Check(); err != nil {
		p.fail("%w", err)
	}
	period := p.period(time.Now())
	q.Since, q.Until = period.Since, period.Until
	mark := fmt.Sprintf("%q", []any{q.Filter, p.values["since"], p.values["until"]})
	if text := p.text("page_token"); text != "" {
		var token eventToken
		if err := token.parse(text, mark); err != nil {
			p.fail("%w", err)
		}
		q.Before = token.Before
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
	answer := eventsAnswer(a.Fleet.Snapshot(), found, site.VisitorOf(r).IsTrusted())
	if found.More {
		answer.Next = newEventToken(found.Next, mark).String()
	}
	return answer, nil
}

// eventToken is where the next page begins.
type eventToken struct {
	// Before is the sequence below which it reads, Query tells the query apart from others.
	Before uint64 `json:"b"`
	Query  uint64 `json:"q"`
}

func newEventToken(before uint64, query string) eventToken {
	h := fnv.New64a()
	_, _ = h.Write([]byte(query)) // it never fails
	return eventToken{before, h.Sum64()}
}

func (t eventToken) String() string {
	text, _ := json.Marshal(t) // it always can
	return base64.RawURLEncoding.EncodeToString(text)
}

// parse reads a token of the page before, of the same query.
func (t *eventToken) parse(text, query string) error {
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(plain, t) != nil || *t != newEventToken(t.Before, query) || t.Before == 0 {
		return fleet.ErrToken
	}
	return nil
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
	if !found.SearchedTo.IsZero() {
		answer.SearchedTo = &schema.Time{Time: found.SearchedTo}
	}
	switch {
	case len(answer.Events) > 0:
	case found.More:
		answer.Hint = "none of what was searched so far matches the filters: the next page searches on"
	default:
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
