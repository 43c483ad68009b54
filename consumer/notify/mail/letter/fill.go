package letter

import (
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/link"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
	"supernats/schema"
)

// The values of Data.Kind.
const (
	kindUpdate   = "update"
	kindResolved = "resolved"
	kindDigest   = "digest"
)

// kindOf is the last word of a notification's type: firing, update, resolved, acknowledged
// or unacknowledged.
func kindOf(typ string) string {
	return wording.Clip(typ[strings.LastIndexByte(typ, '.')+1:], summary.MaxName)
}

// newData fills in what templates see.
func newData(r *report, from notify.Identity, now time.Time) *Data {
	sum := summary.Of(r.clean)
	d := &Data{
		Kind:     kindOf(r.clean[0].Type),
		Subject:  sum.Subject,
		Sentence: sum.Sentence,
		Severity: summary.Worst(r.clean),
		Command:  command(r.raw),
		Time:     now,
		Supernats: wording.Clip(
			strings.Trim(from.Instance+", version "+from.Version, ", "), maxField),
		Alerts: make([]Alert, len(r.clean)),
		Page:   link.Alerts(from),
	}
	if len(r.clean) > 1 {
		d.Kind = kindDigest
	}

	for i := range r.clean {
		d.Alerts[i] = newAlert(r, i, now)
		// A name that was cut for people would be another one.
		d.Alerts[i].Links = link.Of(from, r.raw[i])
		d.countAlert(&d.Alerts[i], r.clean[i].Type)
	}
	if summary.IsOneIncident(r.raw) {
		d.Links = d.Alerts[len(d.Alerts)-1].Links
	}
	d.addLogs(r)
	return d
}

// countAlert adds an alert to the numbers.
func (d *Data) countAlert(a *Alert, typ string) {
	switch typ {
	case schema.TypeAlertUpdate, schema.TypeAlertAcknowledged, schema.TypeAlertUnacknowledged:
		d.Updates++
	case schema.TypeAlertResolved:
		d.Resolved++
	default:
		d.Firing++
	}

	d.Events += len(a.Events)
	for i := range a.Events {
		if a.Events[i].Late != "" {
			d.Late++
		}
	}
}

// newAlert is the ith notification.
func newAlert(r *report, i int, now time.Time) Alert {
	n := r.clean[i]
	a := n.Data
	description := r.raw[i].Data.Annotations[annotationDescription]
	v := Alert{
		Kind: kindOf(n.Type), ID: wording.Clip(a.Incident, maxField),
		Rule: a.Rule, Severity: a.Severity,
		Host: a.Host, Address: summary.Short(a.Labels[notify.LabelAddress]), Group: a.Group, Process: a.Process,
		Who: summary.PartyOf(a).String(), Sentence: summary.Sentence(n),
		Summary:     summary.OwnWords(a),
		Description: wording.Lines(description, maxParagraph, maxParagraphLine),
		Opened:      a.Opened.In(now.Location()), Open: summary.OpenFor(a, n.Time.Time),
		State: summary.Short(a.State), Crashes: notify.CrashesLately(n),
		Count: a.Count, Labels: a.Labels, Annotations: a.Annotations,
		Events: make([]Event, len(a.Events)),
	}

	if a.Closed != nil {
		v.Closed = a.Closed.In(now.Location())
	}
	if a.StateSince != nil {
		v.StateSince = a.StateSince.In(now.Location())
	}
	for k := range a.Events {
		v.Events[k] = newEvent(a, &a.Events[k], now)
	}
	return v
}

// newEvent is one event of an alert.
func newEvent(a *schema.Notification, ev *schema.AlertEvent, now time.Time) Event {
	o := summary.OriginOf(a, ev)
	v := Event{
		ID: ev.ID, Time: stamp(ev.Time.Time, now), At: ev.Time.In(now.Location()),
		Host: summary.Short(o.Host), Group: summary.Short(o.Group), Process: summary.Short(o.Process), Name: o.Name(),
		Event: ev.Event, Reason: wording.Cell(summary.Reason(ev), maxReason), FromState: ev.FromState,
		PID: ev.PID, Fix: ev.Fix,
		Exit: newExit(ev.Exit), Last: ev.Last,
	}

	if ev.Ran != nil {
		v.Ran = schema.Lasted(*ev.Ran)
	}
	if ev.HostTime != nil {
		v.HostTime = ev.HostTime.In(now.Location())
	}
	if ev.Late {
		v.Late = wording.Rounded(max(0, now.Sub(ev.Time.Time)))
	}
	return v
}

// newExit is the reason of a death, in parts.
func newExit(x *schema.Exit) Exit {
	if x == nil {
		return Exit{}
	}
	v := Exit{Known: true, Signal: x.Signal, SpawnErr: x.SpawnErr, Core: x.Core, Source: x.Source, OOM: x.OOM}
	if x.Code != nil {
		v.Code = *x.Code
	}
	return v
}
