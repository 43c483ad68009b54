package page

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"supernats/consumer"
	"supernats/consumer/fleet"
	"supernats/consumer/history"
	"supernats/consumer/web/feed"
	"supernats/consumer/web/live"
	"supernats/consumer/web/page/action"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
	"supernats/consumer/wording"
	"supernats/schema"
)

// eventsView is the stream of events, the newest first.
type eventsView struct {
	pages *Pages
	query history.NewestQuery
	// since and until are as they stand in the address: times, or spans before now.
	since, until string
	url          url.Values
}

// Sets of events that a page may show beside single ones.
const (
	eventsOfProcesses = "" // and of supervisord itself
	eventsAll         = "all"
)

func (p *Pages) newEventsView(q url.Values) (view, error) {
	v := &eventsView{
		pages: p, since: strings.TrimSpace(q.Get("since")), until: strings.TrimSpace(q.Get("until")), url: q,
	}
	v.query = history.NewestQuery{Limit: pageLength, Filter: consumer.Filter{
		Hosts: action.List(q, "host"), Groups: action.List(q, "group"), Processes: action.List(q, "process"),
	}}
	switch event := q.Get("event"); event {
	case eventsOfProcesses:
		v.query.Filter.Events = []string{"PROCESS_STATE", "SUPERVISOR_STATE_CHANGE", "PROCESS_GROUP"}
	case eventsAll:
	default:
		v.query.Filter.Events = []string{event}
	}
	if err := v.query.Filter.Check(); err != nil {
		return nil, badAddress(err)
	}

	if token := q.Get("page_token"); token != "" {
		var err error
		if v.query.Before, err = strconv.ParseUint(token, 36, 64); err != nil || v.query.Before == 0 {
			return nil, badAddress(fleet.ErrToken)
		}
	}
	for _, text := range []string{v.since, v.until} {
		if _, err := parseTime(text, time.Now()); err != nil {
			return nil, badAddress(err)
		}
	}
	return v, nil
}

// parseTime reads a time, or a span before now; "" is the zero time.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if span, err := schema.ParseDuration(text); err == nil {
		return now.Add(-time.Duration(span)), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q: want a span (15m, 24h, 7d) or a time (2026-11-21T19:00:00Z)", text)
	}
	return t, nil
}

type eventsData struct {
	Query        url.Values
	Kinds, Spans []look.Choice
	Entries      []look.Entry
	// Longest is how many entries the page keeps as more come.
	Longest    int
	Chart      *look.Chart
	ChartSpan  string
	Next       string
	Empty      string
	Incomplete string
	Trouble    string
}

func (v *eventsView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	out, err := v.pages.begin("events", "/events", "Events", s, now)
	if err != nil {
		return nil, err
	}
	spans := look.Words{
		{"", "any time"},
		{"15m", "last 15 minutes"},
		{"1h", "last hour"},
		{"6h", "last 6 hours"},
		{"24h", "last 24 hours"},
		{"7d", "last 7 days"},
	}
	if v.since != "" && !spans.Has(v.since) {
		spans = append(spans, [2]string{v.since, "since " + look.Clip(v.since)})
	}
	out.data = &eventsData{
		Query: v.url, Kinds: v.kinds(), Spans: look.Choices(v.since, spans), Longest: pageLength,
	}
	return out, nil
}

// isOpenEnded reports whether what comes belongs here: a page of the past stays as it is.
func (v *eventsView) isOpenEnded() bool { return v.query.Before == 0 && v.until == "" }

// eventNews are the events that come while somebody looks at the page.
type eventNews struct {
	*feed.Feed
	view    *eventsView
	trusted bool
}

// Rows returns at most the newest of a page. What cannot be shown is fetched with the page,
// which says why.
func (n *eventNews) Rows(after, through uint64) (rows []live.Row, whole bool) {
	events, whole := n.Between(after, through, &n.view.query.Filter)
	for _, e := range events[max(0, len(events)-pageLength):] {
		row, err := n.row(e)
		if err != nil {
			return nil, false
		}
		rows = append(rows, row)
	}
	return rows, whole
}

func (n *eventNews) row(e *history.StoredEvent) (row live.Row, err error) {
	defer n.view.pages.recoverIn(n.view, &err)
	entry := n.view.entryOf(e, n.trusted)
	html, err := n.view.pages.fragment("entry", entry)
	return live.Row{List: "timeline", ID: entry.ID, HTML: html}, err
}

func (v *eventsView) kinds() []look.Choice {
	words := look.Words{{eventsOfProcesses, "processes and supervisord"}, {eventsAll, "everything, ticks too"}}
	for _, event := range []string{
		schema.ProcessStateExited, schema.ProcessStateFatal, schema.ProcessStateBackoff, schema.ProcessStateRunning,
		schema.ProcessStateStopped, "PROCESS_LOG", "PROCESS_COMMUNICATION", schema.RemoteCommunication,
	} {
		words = append(words, [2]string{event, event})
	}
	if event := v.url.Get("event"); !words.Has(event) {
		words = append(words, [2]string{event, look.Clip(event)})
	}
	return look.Choices(v.url.Get("event"), words)
}

// complete reads the events.
func (v *eventsView) complete(r *http.Request, a *answer) error {
	data := a.data.(*eventsData)
	q := v.query
	q.Since, _ = parseTime(v.since, time.Now())
	q.Until, _ = parseTime(v.until, time.Now())
	found, err := v.pages.newest(r, a, q)
	if err != nil {
		data.Trouble = look.Sentence(err.Error())
		return nil
	}

	a.news = found.Through
	trusted := site.VisitorOf(r).IsTrusted()
	for i := range found.Events {
		data.Entries = append(data.Entries, v.entryOf(&found.Events[i], trusted))
	}
	data.Chart, data.ChartSpan = look.EventsOf(found.Events)
	if found.More {
		data.Next = nextPage("/events", v.url, strconv.FormatUint(found.Next, 36))
	}
	if !found.SearchedTo.IsZero() {
		data.Incomplete = "What is older than " + found.SearchedTo.UTC().Format(look.FullTime) +
			" would take too long to read: narrow the filter to a host, a group or a process."
	}
	if len(found.Events) == 0 && data.Incomplete == "" {
		data.Empty = "The stream holds no such event (" + wording.Join(", ", filterWords(v.url)) + ")."
		if filterWords(v.url) == "" {
			data.Empty = "The stream holds no event of a process yet."
		}
	}
	return nil
}

// entryOf writes an event with whom it is about.
func (v *eventsView) entryOf(e *history.StoredEvent, trusted bool) look.Entry {
	d := e.Data
	out := look.Happening(e, trusted)
	out.ID, out.Place = "e-"+strconv.FormatUint(e.Seq, 36), e.Seq
	out.Who = wording.Join(" · ", look.Name(d.Host), look.Name(wording.ProcessName(d.Group, d.Process)))
	out.Path = site.HostPath(d.Host)
	if d.Process != "" {
		out.Path = site.ProcessPath(d.Host, d.Group, d.Process)
	}
	return out
}
