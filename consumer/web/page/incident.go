package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/timeline"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
	"supernats/consumer/wording"
	"supernats/schema"
)

// incidentView is one incident with all that became of it.
type incidentView struct {
	pages *Pages
	id    string
}

type incidentData struct {
	ID, Who, Why                string
	Mark                        look.Mark
	Facts                       []look.Fact
	MutePath, AckPath, TextPath string
	// AckCommand acknowledges it where the page may not.
	AckCommand string
	Runbook    string
	IsOpen     bool
	Mutes      []look.MuteRow

	// What complete adds.
	Timeline  []look.Entry
	Receivers []look.Receiver
	Crashes   *look.Chart
	CrashSpan string
	Output    *look.Output
	Troubles  []string
}

func (v *incidentView) find(s *fleet.Snapshot) *fleet.Alert {
	i := slices.IndexFunc(s.Alerts, func(a *fleet.Alert) bool { return a.Incident == v.id })
	if i < 0 {
		return nil
	}
	return s.Alerts[i]
}

// show returns what the record of the incident says. One that is over may have none any
// more: complete finds what the streams still have.
func (v *incidentView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	out := &shown{title: "Incident " + look.Name(v.id)}
	if err := v.pages.setStatus(out, s, now); err != nil {
		return nil, err
	}
	data := &incidentData{ID: look.Name(v.id), TextPath: "/api/v1" + site.AlertPath(v.id) + "?format=md"}
	out.data = data
	a := v.find(s)
	if a == nil {
		out.Mark = "no record"
		return out, nil
	}

	data.describe(a, now)
	for i := range s.Mutes {
		if inspect.Silences(&s.Mutes[i], &a.Alert) && data.IsOpen {
			data.Mutes = append(data.Mutes, look.MuteRowOf(&s.Mutes[i], s, now))
		}
	}
	out.title = data.Who
	out.Mark = fmt.Sprintf("%s %d %d %d %s", a.Phase, a.Count, a.Notifications, a.Seq, a.Mute)
	out.Summary = data.Who + ": " + data.Why
	return out, nil
}

// describe takes what a record says.
func (d *incidentData) describe(a *fleet.Alert, now look.Clock) {
	d.Who, d.Why, d.Mark = look.About(&a.Alert), look.AlertWhy(&a.Alert), look.AlertMark(a)
	d.IsOpen, d.Facts = a.Phase != schema.PhaseResolved, look.IncidentFacts(a, now)
	d.MutePath = newMutePath(a.Host, a.Group, a.Process, a.Rule)
	d.AckPath = site.AlertPath(a.Incident) + "/ack"
	d.AckCommand = "supernats ack " + wording.ShellQuote(a.Incident) + " --reason …"
	d.Runbook = runbook(cmp.Or(a.Annotations["runbook_url"], a.Annotations["runbook"]))
}

// runbook returns an address if it is one of the web.
func runbook(address string) string {
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return address
	}
	return ""
}

// complete reads what the streams have of the incident.
func (v *incidentView) complete(r *http.Request, a *answer) error {
	data, alert := a.data.(*incidentData), v.find(a.snapshot)
	trusted := site.VisitorOf(r).IsTrusted()
	if alert != nil && alert.Last != nil {
		data.Output = look.OutputOf(alert.Last.Log, alert.Last.Time.Time, trusted)
	}
	in, err := v.read(r, a)
	switch {
	case errors.Is(err, inspect.ErrNoIncident) && alert == nil:
		return &problem{
			status: http.StatusNotFound, text: "no incident " + look.Name(v.id) + " is recorded",
			fix: "Those that are over are kept for a while only. " +
				"`supernats alerts --since 30d` lists all notifications that the stream still has.",
		}
	case err != nil && alert == nil:
		return err
	case err != nil:
		data.Troubles = append(data.Troubles, sentence(err.Error()))
		return nil
	}

	t := timeline.Of(in)
	if alert == nil {
		past := &fleet.Alert{Alert: schema.Alert{
			Incident: v.id, Rule: t.Rule, Severity: t.Severity, Host: t.Host, Group: t.Group, Process: t.Process,
			Phase: t.Phase, Opened: t.Opened, Closed: t.Closed, Ended: t.Ended, Count: t.Count,
		}}
		data.describe(past, look.ClockOf(a.snapshot))
		data.Runbook, a.title = runbook(t.Runbook), data.Who
	}
	data.add(in, t, trusted)
	return nil
}

func (v *incidentView) read(r *http.Request, a *answer) (*inspect.Incident, error) {
	reader, err := v.pages.reader()
	if err != nil {
		return nil, err
	}
	read := func(ctx context.Context) (*inspect.Incident, error) { return reader.Incident(ctx, v.id) }
	return v.pages.incidents.get(r.Context(), v.id+" "+a.shown.Mark, read)
}

// add takes what the streams have, the newest first.
func (d *incidentData) add(in *inspect.Incident, t *timeline.Timeline, trusted bool) {
	for i := len(t.Facts) - 1; i >= 0 && len(d.Timeline) < maxFacts; i-- {
		d.Timeline = append(d.Timeline, look.EntryOf(&t.Facts[i], d.isAboutOne(t)))
	}
	if left := len(t.Facts) - len(d.Timeline); left > 0 {
		d.Troubles = append(d.Troubles, "The oldest "+wording.Count(left, "fact is", "facts are")+
			" left out here; the timeline as text has them.")
	}
	for _, warning := range t.Warnings {
		d.Troubles = append(d.Troubles, sentence(warning))
	}
	if in.Alert != nil {
		for _, del := range in.Alert.Receivers {
			d.Receivers = append(d.Receivers, look.ReceiverOf(del))
		}
	}

	events := slices.Clone(in.Events)
	slices.Reverse(events)
	d.Output = cmp.Or(look.LastOutput(events, trusted), d.Output)
	if end := time.Now(); t.Process != "" {
		if t.Closed != nil {
			end = t.Closed.Time
		}
		d.Crashes, d.CrashSpan = look.CrashesOf(events, end)
	}
}

// isAboutOne reports whether the page has said whom all of it is about.
func (d *incidentData) isAboutOne(t *timeline.Timeline) bool { return t.Process != "" }

// maxFacts is how many lines a timeline has.
const maxFacts = 500

// newest reads events of the stream, the newest first, for the page of an address.
func (p *Pages) newest(r *http.Request, a *answer, q history.NewestQuery) (*history.Newest, error) {
	reader, err := p.reader()
	if err != nil {
		return nil, err
	}
	return p.reads.get(r.Context(), a.view+" "+a.shown.Mark, func(ctx context.Context) (*history.Newest, error) {
		return reader.History().Newest(ctx, q)
	})
}
