package page

import (
	"net/http"
	"net/url"

	"supernats/consumer/fleet"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
	"supernats/consumer/wording"
)

// hostView is one host with its processes.
type hostView struct {
	pages *Pages
	host  string
	query *fleet.Query
	url   url.Values
}

func (p *Pages) newHostView(host string, q url.Values) (view, error) {
	query, err := queryOf(q)
	if err != nil {
		return nil, err
	}
	return &hostView{pages: p, host: host, query: query, url: q}, nil
}

type hostData struct {
	Name          string
	Mark          look.Mark
	Why           string
	Facts         []look.Fact
	Troubles      []trouble
	MutePath      string
	EventsPath    string
	Query         url.Values
	Sorts, States []look.Choice
	Next          string
}

// trouble is something that is wrong with a host.
type trouble struct {
	Text, Fix string
	Since     look.Moment
}

// show returns the host. When it was last seen is not shown while it is heard: that would
// change all the time.
func (v *hostView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	out, err := v.pages.begin("host", "/", look.Name(v.host), s, now)
	if err != nil {
		return nil, err
	}
	h := s.Host(v.host)
	if h == nil {
		if now.IsZero() { // it was forgotten meanwhile
			out.Mark = "unknown"
			return out, nil
		}
		return nil, &look.Problem{
			Status: http.StatusNotFound,
			Text:   "no host " + look.Name(v.host) + " is known, of " + wording.Count(len(s.Hosts), "host", "hosts"),
			Fix:    "It may have been forgotten, or has never reported: `supernats-bridge doctor` on it says why.",
		}
	}

	data := &hostData{
		Name: look.Name(h.Name()), Mark: look.HostMark(h), Why: look.HostWhy(h), Facts: look.HostFacts(h, now),
		MutePath: site.NewMutePath(h.Name(), "", "", ""), EventsPath: site.EventsPath(h.Name(), "", ""),
		Query: v.url, Sorts: look.SortChoices(v.query.Sort), States: look.StateChoices(v.query.States),
	}
	for _, t := range h.Troubles {
		data.Troubles = append(data.Troubles, trouble{look.Clip(t.Text), look.Clip(t.Fix), now.At(t.Since.Time)})
	}
	out.data = data
	if err := v.addRows(out, data, s, h, now); err != nil {
		return nil, err
	}
	head, err := v.pages.fragment("host-head", data)
	out.Head, out.Summary = head, data.Name+": "+data.Mark.Word+", "+data.Why
	return out, err
}

// addRows lists the open alerts and the processes of the host.
func (v *hostView) addRows(out *shown, data *hostData, s *fleet.Snapshot, h *fleet.Host, now look.Clock) error {
	for i, a := range h.Open {
		if i == pageLength {
			break
		}
		if err := out.addRow("open", look.AlertRow(a, now)); err != nil {
			return err
		}
	}

	one := &fleet.Snapshot{Hosts: []*fleet.Host{h}, Now: s.Now}
	page, err := one.Processes(v.query)
	if err != nil {
		return badAddress(err)
	}
	for _, p := range page.Items {
		if err := out.addRow("processes", look.ProcessRow(p, now, false)); err != nil {
			return err
		}
	}

	data.Next = nextPage(site.HostPath(v.host), v.url, page.Next)
	n := notes{total: look.Number(page.Total) + " of " + look.Number(page.Of)}
	switch {
	case page.Of == 0:
		n.none = "Its supervisord has not reported a process yet: " +
			"a snapshot of its process table comes every minute."
	case page.Total == 0:
		n.none = "No process of this host matches " + filterWords(v.url) + ": 0 of " + look.Number(page.Of) + "."
	}
	return out.addNotes(n)
}

func (v *hostView) complete(*http.Request, *answer) error { return nil }
