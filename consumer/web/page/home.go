package page

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/history"
	"supernats/consumer/web/page/look"
	"supernats/consumer/wording"
)

const (
	// maxAttention is how many things that need attention the first page lists.
	maxAttention = 25
	// maxWrong is how many processes the hosts of one page show at once, maxWrongOfHost how
	// many one of them does: a page must stay small when everything is wrong.
	maxWrong       = 100
	maxWrongOfHost = 8
)

// homeView is the fleet: what needs attention, then the hosts. With a filter, it is the
// processes that pass.
type homeView struct {
	pages *Pages
	query *fleet.Query
	url   url.Values
}

func (p *Pages) newHomeView(q url.Values) (view, error) {
	query, err := queryOf(q)
	if err != nil {
		return nil, err
	}
	return &homeView{pages: p, query: query, url: q}, nil
}

// homeData is what the template of the fleet needs beside the lists.
type homeData struct {
	Head          template.HTML
	Filtered      bool
	Query         url.Values
	Sorts, States []look.Choice
	Next          string
	First         bool
	Crashes       *look.Chart
}

func (v *homeView) isFiltered() bool {
	q := v.query
	return q.Text != "" || len(q.Hosts)+len(q.Groups)+len(q.Processes)+len(q.States) > 0
}

func (v *homeView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	out, err := v.pages.begin("home", "/", "Fleet", s, now)
	if err != nil {
		return nil, err
	}
	data := &homeData{
		Filtered: v.isFiltered(), Query: v.url, First: v.query.Token == "",
		Sorts: look.SortChoices(v.query.Sort), States: look.StateChoices(v.query.States),
	}
	out.data = data
	head := look.HeadOf(s)
	out.Summary = head.Text
	if out.Head, err = v.pages.fragment("head", head); err != nil {
		return nil, err
	}
	data.Head = template.HTML(out.Head)

	if data.Filtered {
		return out, v.addProcesses(out, data, s, now)
	}
	if data.First {
		if err := v.addAttention(out, data, s, now); err != nil {
			return nil, err
		}
	}
	return out, v.addHosts(out, data, s, now)
}

// addAttention lists what needs attention.
func (v *homeView) addAttention(out *shown, data *homeData, s *fleet.Snapshot, now look.Clock) error {
	things := look.Attention(s)
	for i, t := range things {
		if i == maxAttention {
			if err := out.add("more", "rest", "more", len(things)-i); err != nil {
				return err
			}
			break
		}
		if err := out.addRow("open", t.Row(now)); err != nil {
			return err
		}
	}

	counts, begin, whole := v.pages.crashes.Counts(time.Now())
	data.Crashes = look.NewChart(counts, begin, history.CrashPart)
	data.Crashes.Known, data.Crashes.Label = whole, "crashes in each half hour of the last 24 hours"
	return out.add("crashes", "chart", "crashes", data.Crashes)
}

// addHosts lists the hosts of a page. The worst come with what is wrong with them.
func (v *homeView) addHosts(out *shown, data *homeData, s *fleet.Snapshot, now look.Clock) error {
	page, err := s.ListHosts(v.query)
	if err != nil {
		return badAddress(err)
	}

	room := maxWrong
	for _, h := range page.Items {
		r := look.NewHostRow(h, now, min(room, maxWrongOfHost))
		room -= len(r.Wrong)
		if err := out.add("host-row", "hosts", r.ID, r); err != nil {
			return err
		}
	}
	data.Next = nextPage("/", v.url, page.Next)
	n := notes{total: look.Number(page.Total)}
	if len(s.Hosts) == 0 {
		n.none = "No host has reported yet. A supernats-bridge under supervisord publishes its first snapshot " +
			"at once: `supernats doctor` on such a host says what is missing."
	}
	return out.addNotes(n)
}

// addProcesses lists the processes that pass a filter.
func (v *homeView) addProcesses(out *shown, data *homeData, s *fleet.Snapshot, now look.Clock) error {
	page, err := s.Processes(v.query)
	if err != nil {
		return badAddress(err)
	}

	if err := v.addHostsByName(out, s, now); err != nil {
		return err
	}
	for _, p := range page.Items {
		if err := out.addRow("processes", look.ProcessRow(p, now, true)); err != nil {
			return err
		}
	}
	data.Next = nextPage("/", v.url, page.Next)
	n := notes{total: matching(page.Total, page.Of), noneIn: "none-of-fleet"}
	if page.Total == 0 {
		n.none = "No process matches " + filterWords(v.url) + ": 0 of " +
			wording.Count(page.Of, "process", "processes") + " on " + wording.Count(len(s.Hosts), "host", "hosts") + "."
	}
	return out.addNotes(n)
}

// matching says how many of all there are pass a filter.
func matching(n, all int) string { return look.Number(n) + " of " + look.Number(all) + " match" }

// maxFound is how many hosts a search lists before the processes.
const maxFound = 10

// addHostsByName lists the hosts whose names have what is searched for.
func (v *homeView) addHostsByName(out *shown, s *fleet.Snapshot, now look.Clock) error {
	text := strings.ToLower(v.query.Text)
	if text == "" || v.query.Token != "" {
		return nil
	}
	n := 0
	for _, h := range s.Hosts {
		if n == maxFound {
			break
		}
		if !strings.Contains(strings.ToLower(h.Name()), text) {
			continue
		}
		r := look.NewHostRow(h, now, 0)
		if err := out.add("host-row", "hosts", r.ID, r); err != nil {
			return err
		}
		n++
	}
	return nil
}

func (v *homeView) complete(*http.Request, *answer) error { return nil }
