package page

import (
	"fmt"
	"net/http"
	"time"

	"supernats/consumer"
	"supernats/consumer/fleet"
	"supernats/consumer/history"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
	"supernats/consumer/wording"
	"supernats/schema"
)

// maxTimeline is how many events a timeline has.
const maxTimeline = 200

// processView is one process with its past.
type processView struct {
	pages                *Pages
	host, group, process string
}

type processData struct {
	Name, Host, HostPath string
	Mark                 look.Mark
	Why                  string
	Since                look.Moment
	Facts                []look.Fact
	MutePath, EventsPath string

	// What complete adds.
	Timeline  []look.Entry
	Crashes   *look.Chart
	CrashSpan string
	Output    *look.Output
	// Incomplete says why there is more than the timeline has.
	Incomplete string
	Trouble    string
}

func (v *processView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	label := look.Name(wording.ProcessName(v.group, v.process))
	out, err := v.pages.begin("process", "/", label+" on "+look.Name(v.host), s, now)
	if err != nil {
		return nil, err
	}
	h := s.Host(v.host)
	var p *fleet.Process
	if h != nil {
		p = h.Process(v.group, v.process)
	}
	if p == nil {
		if now.IsZero() {
			out.Mark = "unknown"
			return out, nil
		}
		return nil, &look.Problem{
			Status: http.StatusNotFound, Text: "no process " + label + " is known on host " + look.Name(v.host),
			Fix: "The page of the host lists those that it has: its supervisord may have been reconfigured.",
		}
	}

	data := &processData{
		Name: label, Host: look.Name(v.host), HostPath: site.HostPath(v.host), Mark: look.MarkOf(p),
		Why: look.ProcessWhy(p), Since: now.At(p.Since.Time), Facts: look.ProcessFacts(p, now),
		MutePath:   site.NewMutePath(v.host, v.group, v.process, ""),
		EventsPath: site.EventsPath(v.host, v.group, v.process),
	}
	out.data = data
	for _, a := range s.Alerts {
		if a.Host != v.host || a.Group != v.group && a.Group != "" || a.Process != v.process && a.Process != "" {
			continue
		}
		if err := out.addRow("alerts", look.AlertRow(a, now)); err != nil {
			return nil, err
		}
	}
	out.Mark = fmt.Sprintf("%d %s", p.Seq, p.Status())
	out.Summary = data.Name + " is " + data.Mark.Word
	return out, nil
}

// complete reads what the stream has of the process.
func (v *processView) complete(r *http.Request, a *answer) error {
	data := a.data.(*processData)
	filter := consumer.Filter{
		Hosts: []string{schema.QuoteGlob(v.host)}, Groups: []string{schema.QuoteGlob(v.group)},
		Processes: []string{schema.QuoteGlob(v.process)}, Events: []string{"PROCESS_STATE"},
	}
	found, err := v.pages.newest(r, a, history.NewestQuery{Filter: filter, Limit: maxTimeline})
	if err != nil {
		data.Trouble = look.Sentence(err.Error())
		return nil
	}

	trusted := site.VisitorOf(r).IsTrusted()
	data.Timeline = look.TimelineOf(found.Events, trusted)
	data.Output = look.LastOutput(found.Events, trusted)
	data.Crashes, data.CrashSpan = look.CrashesOf(found.Events, time.Now())
	switch {
	case found.More && found.SearchedTo.IsZero():
		data.Incomplete = fmt.Sprintf("The newest %d are shown; the page Events has them all.", maxTimeline)
	case !found.SearchedTo.IsZero():
		data.Incomplete = "What is older than " + found.SearchedTo.UTC().Format(look.FullTime) +
			" would take too long to read."
	}
	return nil
}
