package page

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"supernats/consumer/fleet"
	"supernats/consumer/web/page/action"
	"supernats/consumer/web/page/look"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Which alerts a page shows.
const (
	showOpen = "open"
	showPast = "past"
)

// alertsView is the list of alerts.
type alertsView struct {
	pages *Pages
	which string
	query *fleet.AlertQuery
	url   url.Values
}

func (p *Pages) newAlertsView(q url.Values) (view, error) {
	v := &alertsView{pages: p, which: cmp.Or(q.Get("show"), showOpen), url: q}
	v.query = &fleet.AlertQuery{
		Hosts: action.List(q, "host"), Rules: action.List(q, "rule"), Severities: action.List(q, "severity"),
		Text: strings.TrimSpace(q.Get("q")), Limit: pageLength, Token: q.Get("page_token"),
	}
	switch v.which {
	case showOpen:
		v.query.Phases = []string{schema.PhaseFiring, schema.PhasePending}
	case showPast:
		v.query.Phases = []string{schema.PhaseResolved}
	default:
		return nil, badAddress(errors.New("show: want open or past"))
	}
	if err := v.query.Check(); err != nil {
		return nil, badAddress(err)
	}
	return v, nil
}

type alertsData struct {
	Which              string
	OpenPath, PastPath string
	Query              url.Values
	Severities         []look.Choice
	Open, Past         int
	Next               string
}

func (v *alertsView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	out, err := v.pages.begin("alerts", "/alerts", "Alerts", s, now)
	if err != nil {
		return nil, err
	}
	data := &alertsData{
		Which: v.which, Query: v.url, OpenPath: v.tabPath(showOpen), PastPath: v.tabPath(showPast),
		Severities: look.Choices(v.url.Get("severity"), look.Words{
			{"", "any severity"}, {"critical", "critical"}, {"warning", "warning"}, {"info", "info"},
		}),
	}
	out.data = data
	for _, a := range s.Alerts {
		if a.Phase == schema.PhaseResolved {
			data.Past++
		} else {
			data.Open++
		}
	}

	page, err := s.ListAlerts(v.query)
	if err != nil {
		return nil, badAddress(err)
	}
	for _, a := range page.Items {
		if err := out.addRow("alerts", look.AlertRow(a, now)); err != nil {
			return nil, err
		}
	}
	data.Next = nextPage("/alerts", v.url, page.Next)
	if err := out.add("tabs", "tabs", "which", data); err != nil {
		return nil, err
	}
	if none := v.emptyText(s, data, page.Total); none != "" {
		if err := out.add("none", "why", "none", none); err != nil {
			return nil, err
		}
	}
	out.Summary = wording.Count(data.Open, "open alert", "open alerts")
	return out, nil
}

// emptyText says why there is nothing to see.
func (v *alertsView) emptyText(s *fleet.Snapshot, data *alertsData, shown int) string {
	all := map[string]int{showOpen: data.Open, showPast: data.Past}[v.which]
	switch {
	case shown > 0:
		return ""
	case all > 0:
		return "No alert matches " + filterWords(v.url) + ": 0 of " + look.Number(all) + "."
	case v.which == showPast:
		return "No alert has closed recently. Closed alerts are kept for a while; " +
			"the page Events has what happened before."
	case !s.Status.Live:
		return "No alert was open when the records were last up to date."
	}
	return "No alert is open."
}

// tabPath is that of the same filter for other alerts.
func (v *alertsView) tabPath(which string) string {
	q := url.Values{"show": {which}}
	for _, key := range []string{"q", "host", "rule", "severity"} {
		for _, value := range action.List(v.url, key) {
			q.Add(key, value)
		}
	}
	return "/alerts?" + q.Encode()
}

func (v *alertsView) complete(*http.Request, *answer) error { return nil }
