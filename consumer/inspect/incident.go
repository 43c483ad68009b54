package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"supernats/consumer"
	"supernats/consumer/history"
	"supernats/schema"
	"supernats/schema/stream"
)

// Incident is everything that the streams hold about an incident.
type Incident struct {
	// Alert is its record; nil if it is over and its record has expired.
	Alert *Alert
	// Notifications are those that were made, oldest first.
	Notifications []SentNotification
	// Events are what happened to its processes around it, oldest first. Of a process with
	// too many they are the first and the last; Omitted is how many between them are not
	// there.
	Events  []history.StoredEvent
	Omitted int
	// Warnings say what could not be read.
	Warnings []string
}

// SentNotification is a notification with what became of it.
type SentNotification struct {
	*schema.CloudEvent[*schema.Notification]
	Seq       uint64     `json:"seq"`
	Receivers []Delivery `json:"receivers"`
}

// ErrNoIncident says that neither a record nor a notification of an incident is left.
var ErrNoIncident = errors.New("no such incident")

const (
	// incidentBefore and incidentAfter are for how long around an incident the events of its
	// processes belong to its story.
	incidentBefore = 10 * time.Minute
	incidentAfter  = 5 * time.Minute
	// maxIncidentEvents bounds Incident.Events; each process has a share. maxIncidentProcesses
	// bounds the processes whose events are read, incidentTimeout how long that may take.
	maxIncidentEvents    = 500
	incidentTimeout      = 5 * time.Second
	maxIncidentProcesses = 20
	// maxSent bounds Incident.Notifications.
	maxSent = 1000
)

// Incident reads an incident by its id.
func (r *Reader) Incident(ctx context.Context, id string) (*Incident, error) {
	in := &Incident{}
	if err := in.readRecord(ctx, r, id); err != nil {
		return nil, err
	}
	if err := in.readNotifications(ctx, r, id); err != nil {
		return nil, err
	}
	if in.Alert == nil && len(in.Notifications) == 0 {
		return nil, ErrNoIncident
	}

	// What is missing beyond here is no reason to show nothing.
	if err := in.readDeliveries(ctx, r); err != nil {
		in.Warnings = append(in.Warnings, fmt.Sprintf("who was notified is not known: %v", err))
	}
	if err := in.readEvents(ctx, r); err != nil {
		why := err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			why = "it took too long; `supernats replay` has all"
		}
		in.Warnings = append(in.Warnings, "what happened around it could not be read as a whole: "+why)
	}
	return in, nil
}

func (in *Incident) readRecord(ctx context.Context, r *Reader, id string) error {
	records, err := r.AlertRecords(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(records, func(a schema.Alert) bool { return a.Incident == id })
	if i < 0 {
		return nil
	}

	mutes, err := r.Mutes(ctx)
	in.Alert = &Alert{
		Kind: KindAlert, Alert: records[i], Mutes: matching(mutes, &records[i]), Receivers: []Delivery{},
	}
	return err
}

// readNotifications reads what was sent. Where there is no record, the rule at the beginning
// of the id says on which subjects to look.
func (in *Incident) readNotifications(ctx context.Context, r *Reader, id string) error {
	rule, _, _ := strings.Cut(id, "/")
	from := history.Position{Subject: schema.AlertPrefix + "*.*.*." + schema.Token(rule)}
	if a := in.Alert; a != nil {
		from.Subject = schema.AlertSubject(a.Host, a.Group, a.Process, a.Rule)
		from.Time = a.Opened.Add(-time.Hour) // the host's clock may be wrong
	}

	return r.History().Scan(ctx, stream.Alerts, from, func(m *history.Message) error {
		n, err := schema.Unmarshal[*schema.Notification](m.Data)
		if err != nil || n.Data == nil || n.Data.Incident != id {
			return nil
		}
		sent := SentNotification{CloudEvent: n, Seq: m.Seq, Receivers: []Delivery{}}
		in.Notifications = append(in.Notifications, sent)
		if len(in.Notifications) == maxSent {
			in.Warnings = append(in.Warnings, fmt.Sprintf("only the first %d notifications are shown", maxSent))
			return history.ErrEnough
		}
		return nil
	})
}

func (in *Incident) readDeliveries(ctx context.Context, r *Reader) error {
	d, err := r.Deliveries(ctx)
	if err != nil {
		return err
	}
	if in.Alert != nil {
		if err := d.Complete(ctx, in.Alert); err != nil {
			return err
		}
	}
	for i := range in.Notifications {
		n := &in.Notifications[i]
		if n.Data.Quiet {
			continue // it was for the record
		}
		n.Receivers = d.deliveriesOf(n.Data.Notify, n.Seq, &schema.Time{Time: n.Time.Time})
	}
	return nil
}

// period returns from when to when the incident was open, by the stream's time.
func (in *Incident) period() (opened, closed time.Time) {
	if a := in.Alert; a != nil {
		opened = a.Opened.Time
		if a.Closed != nil {
			closed = a.Closed.Time
		}
		return opened, closed
	}
	opened = in.Notifications[0].Data.Opened.Time
	if last := in.Notifications[len(in.Notifications)-1].Data; last.Closed != nil {
		closed = last.Closed.Time
	}
	return opened, closed
}

// processes returns the processes that the incident is about.
func (in *Incident) processes() []processID {
	var list []processID
	add := func(host, group, process string) {
		id := processID{host, group, process}
		if process != "" && len(list) < maxIncidentProcesses && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}

	if a := in.Alert; a != nil {
		add(a.Host, a.Group, a.Process)
		for _, m := range a.Members {
			add(cmp.Or(m.Host, a.Host), cmp.Or(m.Group, a.Group), cmp.Or(m.Process, a.Process))
		}
	}
	for _, n := range in.Notifications {
		for _, ev := range n.Data.Events {
			add(cmp.Or(ev.Host, n.Data.Host), cmp.Or(ev.Group, n.Data.Group), cmp.Or(ev.Process, n.Data.Process))
		}
	}
	return list
}

type processID struct{ host, group, process string }

// readEvents reads what happened to the processes of the incident around it.
func (in *Incident) readEvents(ctx context.Context, r *Reader) error {
	ctx, cancel := context.WithTimeout(ctx, incidentTimeout)
	defer cancel()
	processes := in.processes()
	seen := map[uint64]bool{}
	for _, id := range processes {
		kept, err := in.readProcess(ctx, r, id, maxIncidentEvents/len(processes))
		for _, e := range kept {
			if !seen[e.Seq] {
				seen[e.Seq] = true
				in.Events = append(in.Events, e)
			}
		}
		if err != nil {
			return err
		}
	}
	slices.SortFunc(in.Events, func(a, b history.StoredEvent) int { return cmp.Compare(a.Seq, b.Seq) })
	return nil
}

// readProcess reads what happened to a process: the first and the last, most of them in all.
// What was read before an error is returned with it.
func (in *Incident) readProcess(
	ctx context.Context, r *Reader, id processID, most int,
) (kept []history.StoredEvent, err error) {
	opened, closed := in.period()
	from := history.Position{
		Time:    opened.Add(-incidentBefore),
		Subject: schema.EventPrefix + schema.StateKey(id.host, id.group, id.process) + ".process_state.>",
	}
	half := most / 2
	var newest []history.StoredEvent
	err = r.History().Scan(ctx, stream.Events, from, func(m *history.Message) error {
		if !closed.IsZero() && m.Stored.After(closed.Add(incidentAfter)) {
			return history.ErrEnough
		}
		ce, err := (&consumer.Message{Subject: m.Subject, Data: m.Data}).Event()
		if err != nil {
			return nil // somebody else has put it there
		}
		e := history.StoredEvent{CloudEvent: ce, Seq: m.Seq, Stored: schema.Time{Time: m.Stored}}
		if len(kept) < half {
			kept = append(kept, e)
			return nil
		}

		newest = append(newest, e)
		if len(newest) == 2*half {
			in.Omitted += half
			newest = slices.Clone(newest[half:])
		}
		return nil
	})
	if more := len(newest) - half; more > 0 {
		in.Omitted += more
		newest = newest[more:]
	}
	return append(kept, newest...), err
}
