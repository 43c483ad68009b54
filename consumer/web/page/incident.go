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

	"supernats/consumer"
	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/inspect/past"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
	"supernats/consumer/wording"
	"supernats/schema"
	"supernats/schema/stream"
)

// incidentView is one incident with all that became of it.
type incidentView struct {
	pages *Pages
	id    string
}

type incidentData struct {
	ID, Who, Headline, Why string
	Mark                   look.Mark
	Facts                  []look.Fact
	MutePath, Runbook      string
	AckPath                string
	IsOpen                 bool
	Mutes                  []look.MuteRow

	// What complete adds.
	Timeline   []look.Entry
	Receivers  []receiver
	Crashes    *look.Chart
	CrashSpan  string
	Output     *look.Output
	Incomplete string
	Trouble    string
}

// receiver is what became of the last notification somewhere.
type receiver struct {
	Name  string
	Class string
	Text  string
	At    look.Moment
}

func (v *incidentView) find(s *fleet.Snapshot) *fleet.Alert {
	i := slices.IndexFunc(s.Alerts, func(a *fleet.Alert) bool { return a.Incident == v.id })
	if i < 0 {
		return nil
	}
	return s.Alerts[i]
}

func (v *incidentView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	out := &shown{title: "Incident " + look.Name(v.id)}
	if err := v.pages.setStatus(out, s, now); err != nil {
		return nil, err
	}
	a := v.find(s)
	if a == nil {
		if now.IsZero() {
			out.Mark = "unknown"
			return out, nil
		}
		return nil, &problem{
			status: http.StatusNotFound, text: "no incident " + look.Name(v.id) + " is recorded",
			fix: "A later incident about the same thing replaces it, " +
				"and those that are over are kept for a while only. " +
				"`supernats alerts --since 30d` lists all notifications that the stream still has.",
		}
	}

	data := &incidentData{
		ID: look.Name(v.id), Who: look.About(&a.Alert), Why: look.AlertWhy(&a.Alert), Mark: look.AlertMark(a),
		IsOpen: a.Phase != schema.PhaseResolved,
		MutePath: newMutePath(a.Host, a.Group, a.Process,
			a.Rule), Runbook: runbook(a), AckPath: site.AlertPath(a.Incident) + "/ack",
		Facts: look.IncidentFacts(a, now),
	}
	for i := range s.Mutes {
		if inspect.Silences(&s.Mutes[i], &a.Alert) && data.IsOpen {
			data.Mutes = append(data.Mutes, look.MuteRowOf(&s.Mutes[i], s, now))
		}
	}
	out.title, out.data = data.Who, data
	out.Mark = fmt.Sprintf("%s %d %d %d %s", a.Phase, a.Count, a.Notifications, a.Seq, a.Mute)
	out.Summary = data.Who + ": " + data.Why
	return out, nil
}

// runbook is the address that the annotation of an alert has, "" if it is not one of the web.
func runbook(a *fleet.Alert) string {
	for _, key := range []string{"runbook_url", "runbook"} {
		if s := a.Annotations[key]; strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
			return s
		}
	}
	return ""
}

// complete reads what the streams have of the incident.
func (v *incidentView) complete(r *http.Request, a *answer) error {
	data := a.data.(*incidentData)
	alert := v.find(a.snapshot)
	trusted := site.VisitorOf(r).IsTrusted()
	if alert.Last != nil {
		data.Output = look.OutputOf(alert.Last.Log, alert.Last.Time.Time, trusted)
	}
	reader, err := v.pages.reader()
	if err == nil {
		err = v.addTimeline(r.Context(), reader, alert, data, trusted)
	}
	if err != nil {
		data.Trouble = sentence(err.Error())
	}
	return nil
}

// before is how much of what happened before an incident is shown with it.
const before = 10 * time.Minute

// addTimeline adds the notifications of an incident and the events of its process, the
// newest first.
func (v *incidentView) addTimeline(
	ctx context.Context, r *inspect.Reader, a *fleet.Alert, data *incidentData, trusted bool,
) error {
	sent, err := notificationsOf(ctx, r, a)
	if err != nil {
		return err
	}
	entries, err := v.describe(ctx, r, a, data, sent)
	if err != nil {
		return err
	}

	if a.Process != "" {
		q := past.Query{Since: a.Opened.Add(-before), Limit: maxTimeline, Filter: consumer.Filter{
			Hosts: []string{schema.QuoteGlob(a.Host)}, Groups: []string{schema.QuoteGlob(a.Group)},
			Processes: []string{schema.QuoteGlob(a.Process)}, Events: []string{"PROCESS_STATE"},
		}}
		if a.Closed != nil {
			q.Until = a.Closed.Add(time.Minute)
		}
		found, err := past.Newest(ctx, r.JS, q)
		if err != nil {
			return err
		}
		for i := range found.List {
			entries = append(entries, timed{found.List[i].Happened, look.Happening(&found.List[i], trusted)})
		}
		data.Crashes, data.CrashSpan = look.CrashesOf(found.List, time.Now())
		data.Output = cmp.Or(look.LastOutput(found.List, trusted), data.Output)
		if found.Next > 0 {
			data.Incomplete = fmt.Sprintf("The newest %d events are shown.", maxTimeline)
		}
	} else {
		entries = append(entries, matchedEvents(sent)...)
	}

	slices.SortStableFunc(entries, func(x, y timed) int { return y.at.Compare(x.at) })
	for _, e := range entries {
		data.Timeline = append(data.Timeline, e.Entry)
	}
	return nil
}

// timed is an entry with when it happened.
type timed struct {
	at time.Time
	look.Entry
}

// notification is one of an incident, with its place in the stream.
type notification struct {
	*schema.CloudEvent[*schema.Notification]
	seq uint64
}

// notificationsOf reads the newest notifications of an incident.
func notificationsOf(ctx context.Context, r *inspect.Reader, a *fleet.Alert) (list []notification, err error) {
	ctx, cancel := context.WithTimeout(ctx, past.MaxTime)
	defer cancel()
	from := past.Position{Time: a.Opened.Time}
	if a.FirstSeq > 0 {
		from = past.Position{Seq: a.FirstSeq}
	}

	subject := schema.AlertSubject(a.Host, a.Group, a.Process, a.Rule)
	err = past.Scan(ctx, r.JS, stream.Alerts, subject, from, func(m *past.Message) error {
		n, err := schema.Unmarshal[*schema.Notification](m.Data)
		if err != nil || n.Data == nil || n.Data.Incident != a.Incident {
			return nil
		}
		if list = append(list, notification{n, m.Seq}); len(list) > maxTimeline {
			list = list[1:]
		}
		return nil
	})
	if errors.Is(err, context.DeadlineExceeded) && len(list) > 0 {
		err = nil
	}
	return list, err
}

// describe writes the notifications, and whom the last one has reached.
func (v *incidentView) describe(
	ctx context.Context, r *inspect.Reader, a *fleet.Alert, data *incidentData, sent []notification,
) (entries []timed, err error) {
	d, err := r.Deliveries(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range sent {
		e := look.Entry{At: look.Exact(n.Time.Time), Class: "sent", Text: notificationText(n, d)}
		entries = append(entries, timed{n.Time.Time, e})
	}

	whole := inspect.Alert{Alert: a.Alert}
	if err := d.Complete(ctx, &whole); err != nil {
		return nil, err
	}
	for _, del := range whole.Receivers {
		data.Receivers = append(data.Receivers, receiverOf(del))
	}
	return entries, nil
}

func receiverOf(d inspect.Delivery) receiver {
	r := receiver{
		Name: look.Name(d.Receiver), Class: "ok", Text: "has taken the last notification",
		At: look.Clock{}.AtTime(d.Taken),
	}
	switch d.Status {
	case inspect.DeliveryParked:
		r.Class, r.Text = "crit", "never got the last notification: "+look.Clip(d.Error)
	case inspect.DeliveryWaiting:
		r.Class, r.Text = "warn", "has not taken the last notification yet"
		if d.Error != "" {
			r.Class, r.Text = "crit", fmt.Sprintf("has failed %s: %s", wording.Count(d.Tries, "time", "times"),
				look.Clip(d.Error))
		}
		r.At = look.Clock{}.AtTime(d.Since)
	}
	return r
}

// notificationText says what was sent to whom, and who has taken it when.
func notificationText(n notification, d *inspect.Deliveries) string {
	kind := map[string]string{
		schema.TypeAlertFiring: "FIRING", schema.TypeAlertUpdate: "UPDATE", schema.TypeAlertResolved: "RESOLVED",
	}[n.Type]
	var who []string
	for i := range d.Queues {
		q := &d.Queues[i]
		if len(n.Data.Notify) > 0 && !slices.ContainsFunc(n.Data.Notify, q.BelongsTo) || n.seq <= q.Progress.Begin {
			continue
		}
		text := look.Name(q.Receiver) + " (waiting)"
		if q.Took(n.seq) {
			text = look.Name(q.Receiver)
			if at := q.TookAt(n.seq, &n.Time); at != nil {
				text += " " + at.UTC().Format("15:04:05")
			}
		}
		who = append(who, text)
	}
	return wording.Join(" · ", "notification "+cmp.Or(kind, look.Clip(n.Type)),
		wording.Count(n.Data.Count, "event", "events")+" so far",
		cmp.Or(strings.Join(who, ", "), "no receiver"))
}

// matchedEvents are the events that notifications list, of an incident about more than one
// process.
func matchedEvents(sent []notification) (entries []timed) {
	seen := map[string]bool{}
	for _, n := range sent {
		for i := range n.Data.Events {
			ev := &n.Data.Events[i]
			if seen[ev.ID] {
				continue
			}
			seen[ev.ID] = true
			text := look.Clip(ev.Event)
			if p, ok := wording.OfEvent(n.Data.Rule, ev); ok {
				text = p.Text()
			}
			host := cmp.Or(ev.Host, n.Data.Host)
			e := look.Entry{
				At: look.Exact(ev.Time.Time), Class: "crit", Detail: look.Clip(ev.Text),
				Text: wording.Join(" · ", text, wording.EndOfLife(ev)),
				Who: wording.Join(" · ", look.Name(host),
					look.Name(wording.ProcessName(cmp.Or(ev.Group, n.Data.Group), ev.Process))),
			}
			if ev.Process != "" && host != "" {
				e.Path = site.ProcessPath(host, cmp.Or(ev.Group, n.Data.Group), ev.Process)
			}
			entries = append(entries, timed{ev.Time.Time, e})
		}
	}
	return entries
}
