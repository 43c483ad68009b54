package page

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"supernats/consumer/fleet"
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
	pages        *Pages
	which, text  string
	hosts, rules []string
	severity     string
	token        string
	url          url.Values
}

func (p *Pages) newAlertsView(q url.Values) (view, error) {
	v := &alertsView{
		pages: p, which: cmp.Or(q.Get("show"), showOpen), text: strings.ToLower(strings.TrimSpace(q.Get("q"))),
		hosts: listOf(q, "host"), rules: listOf(q, "rule"), severity: q.Get("severity"), token: q.Get("page_token"),
		url: q,
	}
	for _, glob := range append(v.hosts[:len(v.hosts):len(v.hosts)], v.rules...) {
		if _, err := schema.ParseGlob(glob); err != nil {
			return nil, badAddress(err)
		}
	}
	return v, nil
}

type alertsData struct {
	Which          string
	OpenPath       string
	PastPath       string
	Query          url.Values
	Severities     []look.Choice
	Open, Past     int
	Total          int
	Next, Empty    string
	First, Matches bool
}

func (v *alertsView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	out := &shown{title: "Alerts"}
	if err := v.pages.setStatus(out, s, now); err != nil {
		return nil, err
	}
	data := &alertsData{
		Which: v.which, Query: v.url, OpenPath: v.tabPath(showOpen), PastPath: v.tabPath(showPast),
		Severities: look.Choices(v.severity, [2]string{"", "any severity"}, [2]string{"critical", "critical"},
			[2]string{"warning", "warning"}, [2]string{"info", "info"}),
	}
	out.data = data

	var list []*fleet.Alert
	for _, a := range s.Alerts {
		isPast := a.Phase == schema.PhaseResolved
		if isPast {
			data.Past++
		} else {
			data.Open++
		}
		if isPast == (v.which == showPast) && v.matches(a) {
			list = append(list, a)
		}
	}
	data.Total = len(list)
	list, err := v.page(list, data)
	if err != nil {
		return nil, err
	}

	for _, a := range list {
		r := look.AlertRow(a, now)
		if err := out.add(v.pages, "row", "alerts", r.ID, r); err != nil {
			return nil, err
		}
	}
	data.Empty = v.emptyText(s, data)
	out.Summary = wording.Count(data.Open, "open alert", "open alerts")
	return out, nil
}

func (v *alertsView) matches(a *fleet.Alert) bool {
	return (v.severity == "" || v.severity == a.Severity) &&
		schema.MatchAny(v.hosts, a.Host) && schema.MatchAny(v.rules, a.Rule) &&
		(v.text == "" || strings.Contains(strings.ToLower(a.Host+" "+a.Group+":"+a.Process+" "+a.Rule), v.text))
}

// emptyText says why there is nothing to see.
func (v *alertsView) emptyText(s *fleet.Snapshot, data *alertsData) string {
	all := map[string]int{showOpen: data.Open, showPast: data.Past}[v.which]
	switch {
	case data.Total > 0:
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
		for _, value := range listOf(v.url, key) {
			q.Add(key, value)
		}
	}
	return "/alerts?" + q.Encode()
}

// alertPlace is where an alert stands in the list: the worst first, then the youngest.
type alertPlace struct {
	Level    int    `json:"l"`
	Opened   int64  `json:"o"`
	Incident string `json:"i"`
}

func placeOf(a *fleet.Alert) alertPlace {
	return alertPlace{int(a.Level()), a.Opened.UnixNano(), a.Incident}
}

func (p alertPlace) isAfter(other alertPlace) bool {
	return cmp.Or(cmp.Compare(other.Level, p.Level), cmp.Compare(other.Opened, p.Opened),
		strings.Compare(p.Incident, other.Incident)) > 0
}

// page cuts out the page that the view asks for.
func (v *alertsView) page(list []*fleet.Alert, data *alertsData) ([]*fleet.Alert, error) {
	if v.token != "" {
		var last alertPlace
		text, err := base64.RawURLEncoding.DecodeString(v.token)
		if err != nil || json.Unmarshal(text, &last) != nil {
			return nil, badAddress(fleet.ErrToken)
		}
		i := 0
		for i < len(list) && !placeOf(list[i]).isAfter(last) {
			i++
		}
		list = list[i:]
	}
	data.First = v.token == ""

	if len(list) > pageLength {
		list = list[:pageLength]
		text, err := json.Marshal(placeOf(list[pageLength-1]))
		if err != nil {
			return nil, err
		}
		data.Next = nextPage("/alerts", v.url, base64.RawURLEncoding.EncodeToString(text))
	}
	return list, nil
}

func (v *alertsView) complete(*http.Request, *answer) error { return nil }
