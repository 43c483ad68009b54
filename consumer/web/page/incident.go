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
	"supernats/consumer/web/page/action"
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
	ID, Who, Why       string
	Mark               look.Mark
	Facts              []look.Fact
	MutePath, TextPath string
	// AckPath is where it can be acknowledged: "" if it is not open, or nobody may here.
	// AckCommand does it then, "" if it is not open.
	AckPath, AckCommand string
	// IsTaken says that somebody takes care of it.
	IsTaken bool
	Runbook string
	IsOpen  bool
	Mutes   []look.MuteRow

	// What complete adds.
	Ack       *action.AckForm
	Timeline  []look.Entry
	Receivers []look.Receiver
	Crashes   *look.Chart
	CrashSpan string
	Output    *look.Output
	Troubles  []string
}

// show returns what the record of the incident says. One that is over may have none any
// more: complete finds what the streams still have.
func (v *incidentView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	out, err := v.pages.begin("incident", "/alerts", "Incident "+look.Name(v.id), s, now)
	if err != nil {
		return nil, err
	}
	data := &incidentData{ID: look.Name(v.id), TextPath: "/api/v1" + site.AlertPath(v.id) + "?format=md"}
	out.data = data
	a := s.Alert(v.id)
	if a == nil {
		out.Mark = "no record"
		return out, nil
	}

	data.describe(a, now)
	data.offerAck(a, v.pages.actions.MayAcknowledge())
	for i := range s.Mutes {
		if inspect.Silences(&s.Mutes[i], &a.Alert) && data.IsOpen {
			data.Mutes = append(data.Mutes, v.pages.muteRow(&s.Mutes[i], s, now))
		}
	}
	out.title = data.Who
	out.Mark = fmt.Sprintf("%s %d %d %d %s %s", a.Phase, a.Count, a.Notifications, a.Seq, a.Mute, look.AckText(a))
	out.Summary = data.Who + ": " + data.Why
	return out, nil
}

// describe takes what a record says.
func (d *incidentData) describe(a *fleet.Alert, now look.Clock) {
	d.Who, d.Why, d.Mark = look.About(&a.Alert), look.AlertWhy(&a.Alert), look.AlertMark(a)
	d.IsOpen, d.Facts = a.Phase != schema.PhaseResolved, look.IncidentFacts(a, now)
	d.MutePath = site.NewMutePath(a.Host, a.Group, a.Process, a.Rule)
	d.Runbook = runbook(cmp.Or(a.Annotations["runbook_url"], a.Annotations["runbook"]))
}

// offerAck adds how the incident is acknowledged, and how that is withdrawn.
func (d *incidentData) offerAck(a *fleet.Alert, may bool) {
	switch {
	case !a.IsOpen():
	case !may:
		d.AckCommand = "supernats ack " + wording.ShellQuote(a.Incident) + " --reason …"
	default:
		d.AckPath, d.IsTaken = action.AckPath(a.Incident), a.IsAcknowledged()
		for i := range d.Facts {
			if d.Facts[i].Word == look.AckWord {
				d.Facts[i].EndPath = d.AckPath + "/end"
			}
		}
	}
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
	data, alert := a.data.(*incidentData), a.snapshot.Alert(v.id)
	visitor := site.VisitorOf(r)
	trusted := visitor.IsTrusted()
	if data.AckPath != "" {
		data.Ack = action.AckFormOf(nil, v.id, visitor.Author())
	}
	if alert != nil && alert.Last != nil {
		data.Output = look.OutputOf(alert.Last.Log, alert.Last.Time.Time, trusted)
	}
	in, err := v.read(r, a)
	switch {
	case errors.Is(err, inspect.ErrNoIncident) && alert == nil:
		return &look.Problem{
			Status: http.StatusNotFound, Text: "no incident " + look.Name(v.id) + " is recorded",
			Fix: "Those that are over are kept for a while only. " +
				"`supernats alerts --since 30d` lists all notifications that the stream still has.",
		}
	case err != nil && alert == nil:
		return err
	case err != nil:
		data.Troubles = append(data.Troubles, look.Sentence(err.Error()))
		return nil
	}

	t := timeline.Of(in)
	if alert == nil {
		data.describe(pastAlert(in, t), look.ClockOf(a.snapshot))
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
	what := fmt.Sprint(v.id, " ", a.shown.Mark, " ", v.pages.feed.Last())
	return v.pages.incidents.Get(r.Context(), what, func(ctx context.Context) (*inspect.Incident, error) {
		return reader.Incident(ctx, v.id)
	})
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
		d.Troubles = append(d.Troubles, look.Sentence(warning))
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

// pastAlert is what the streams have of an alert whose record has expired.
func pastAlert(in *inspect.Incident, t *timeline.Timeline) *fleet.Alert {
	a := schema.Alert{
		Incident: t.Incident, Rule: t.Rule, Severity: t.Severity, Host: t.Host, Group: t.Group, Process: t.Process,
		Phase: t.Phase, Opened: t.Opened, Closed: t.Closed, Ended: t.Ended, Count: t.Count,
	}
	if a.Phase == schema.PhaseResolved && a.Closed == nil {
		a.Ended = "when is not known"
	}
	for _, sent := range in.Notifications {
		a.Kind, a.Annotations = sent.Data.Kind, sent.Data.Annotations
		if last := wording.LastEvent(sent.Data); last != nil {
			a.Last = last
		}
	}
	return &fleet.Alert{Alert: a}
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
	what := fmt.Sprint(a.view, " ", a.shown.Mark, " ", p.feed.Last())
	return p.reads.Get(r.Context(), what, func(ctx context.Context) (*history.Newest, error) {
		return reader.History().Newest(ctx, q)
	})
}
