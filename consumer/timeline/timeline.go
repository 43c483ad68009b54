// Package timeline arranges an incident as a list of facts, one after the other: what happened
// to its processes, who was notified of it and when, and what people did. It is for the
// page, for `supernats alerts show` and for a post-mortem that is pasted somewhere.
//
// It only arranges what an inspect.Incident holds, which is bounded, and asks nobody.
package timeline

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Kinds of facts.
const (
	KindEvent        = "event"
	KindNotification = "notification"
	// KindAcknowledgement is that somebody takes care of it, or no longer does.
	KindAcknowledgement = "acknowledgement"
	KindDelivery        = "delivery"
)

// Levels of facts, for colours and shapes.
const (
	LevelBad  = "bad"
	LevelGood = "good"
	LevelNote = "note"
)

// Fact is one line of the story.
type Fact struct {
	Time  schema.Time `json:"time"`
	Kind  string      `json:"kind"`
	Level string      `json:"level"`
	// Host and Process say to whom it happened; Process is "group:process".
	Host    string `json:"host,omitempty"`
	Process string `json:"process,omitempty"`
	// Text is for people, and safe to show: "exited unexpectedly, exit code 3, ran 2 min".
	Text string `json:"text"`
	// Log is what the process wrote last, of an event that ends its life.
	Log *schema.Log `json:"log,omitempty"`
	// Seq is its sequence in the stream of events or of notifications.
	Seq uint64 `json:"seq,omitempty"`
}

// Timeline is the story of an incident.
type Timeline struct {
	Incident string `json:"alert"`
	// Title says what it is about in a sentence.
	Title    string       `json:"title"`
	Rule     string       `json:"rule"`
	Severity string       `json:"severity"`
	Host     string       `json:"host,omitempty"`
	Group    string       `json:"group,omitempty"`
	Process  string       `json:"process,omitempty"`
	Phase    string       `json:"phase"`
	Opened   schema.Time  `json:"opened"`
	Closed   *schema.Time `json:"closed,omitempty"`
	// Ended is why it closed, in words; Count how many events have matched. Both Closed and
	// Ended are missing of what is over and nobody was notified of.
	Ended   string `json:"ended,omitempty"`
	Count   int    `json:"count"`
	Runbook string `json:"runbook,omitempty"`
	Facts   []Fact `json:"facts"`
	// Warnings say what is missing, and why.
	Warnings []string `json:"warnings,omitempty"`
}

// Of arranges an incident.
func Of(in *inspect.Incident) *Timeline {
	t := &Timeline{Facts: []Fact{}, Warnings: slices.Clone(in.Warnings)}
	if len(in.Notifications) > 0 {
		t.describe(in.Notifications[len(in.Notifications)-1].CloudEvent)
	}
	if in.Alert != nil {
		t.describeRecord(in.Alert)
	} else if t.Phase == schema.PhaseFiring {
		// What is open has a record. Of what ended with send_resolved: false, or was a test,
		// the last notification says "firing" for ever.
		t.Phase = schema.PhaseResolved
		t.Warnings = append(t.Warnings, "it is over, when and why is not known: no record of it is left, "+
			"and nobody was notified of its end")
	}

	matched := map[string]bool{}
	for i := range in.Notifications {
		t.addNotification(&in.Notifications[i], matched)
	}
	for i := range in.Events {
		if e := &in.Events[i]; !matched[e.ID] {
			t.add(factOf(e))
		}
	}
	if in.Omitted > 0 {
		t.Warnings = append(t.Warnings, wording.Count(in.Omitted, "event", "events")+" of its processes between the "+
			"first and the last of each are left out: there are too many; `supernats replay` has all")
	}

	slices.SortStableFunc(t.Facts, func(a, b Fact) int {
		return cmp.Or(a.Time.Compare(b.Time.Time), compareKinds(a.Kind, b.Kind))
	})
	return t
}

// compareKinds puts what led to something before it, where both have one time.
func compareKinds(a, b string) int {
	order := []string{KindEvent, KindAcknowledgement, KindNotification, KindDelivery}
	return cmp.Compare(slices.Index(order, a), slices.Index(order, b))
}

// describe takes what the last notification says of the incident.
func (t *Timeline) describe(ce *schema.CloudEvent[*schema.Notification]) {
	n := ce.Data
	t.Incident, t.Rule, t.Severity = n.Incident, n.Rule, n.Severity
	t.Host, t.Group, t.Process = n.Host, n.Group, n.Process
	t.Opened, t.Closed, t.Count = n.Opened, n.Closed, n.Count
	t.Phase, t.Ended = schema.PhaseFiring, n.Ended
	if ce.Type == schema.TypeAlertResolved {
		t.Phase = schema.PhaseResolved
	}
	t.Runbook = runbook(n.Annotations)
	t.Title = title(n)
}

// describeRecord takes what the record says, which is newer than any notification.
func (t *Timeline) describeRecord(a *inspect.Alert) {
	t.Incident, t.Rule, t.Severity = a.Incident, a.Rule, a.Severity
	t.Host, t.Group, t.Process = a.Host, a.Group, a.Process
	t.Opened, t.Closed, t.Count = a.Opened, a.Closed, a.Count
	t.Phase, t.Ended = a.Phase, cmp.Or(a.Ended, a.EndedBy)
	t.Runbook = runbook(a.Annotations)

	n := schema.Notification{
		Rule: a.Rule, Kind: a.Kind, Host: a.Host, Group: a.Group, Process: a.Process, Count: a.Count,
		Annotations: a.Annotations,
	}
	if a.Last != nil {
		n.Events = []schema.AlertEvent{*a.Last}
	}
	t.Title = title(&n)
}

func runbook(annotations map[string]string) string {
	return cmp.Or(annotations["runbook_url"], annotations["runbook"])
}

// title says what an incident is about: "web1 api:api_00 exited unexpectedly, 3 times".
func title(n *schema.Notification) string {
	name := wording.Join(" ", wording.Clip(n.Host, wording.MaxName),
		wording.Clip(wording.ProcessName(n.Group, n.Process), 2*wording.MaxName))
	what := wording.Clip(n.Annotations["summary"], wording.MaxText)
	if what == "" {
		what = "matches rule " + wording.Clip(n.Rule, wording.MaxName)
	}
	if p, ok := wording.OfAlert(n); ok {
		what = p.One
	}
	times := ""
	if n.Count > 1 {
		times = strconv.Itoa(n.Count) + " times"
	}
	return wording.Join(", ", wording.Join(" ", name, what), times)
}

func (t *Timeline) add(f Fact) { t.Facts = append(t.Facts, f) }

// addNotification adds a notification, what it reports, and who has taken it. The ids of
// what it reports go into matched.
func (t *Timeline) addNotification(n *inspect.SentNotification, matched map[string]bool) {
	for i := range n.Data.Events {
		ev := &n.Data.Events[i]
		if !matched[ev.ID] {
			matched[ev.ID] = true
			t.add(t.factOfMatch(n.Data, ev))
		}
	}

	t.add(factOfNotification(n))
	for _, d := range n.Receivers {
		t.addDelivery(n, &d)
	}
}

// factOfNotification is what a notification says besides its events: that somebody takes
// care of the incident, or what kind of notification it is.
func factOfNotification(n *inspect.SentNotification) Fact {
	f := Fact{Time: n.Time, Kind: KindNotification, Level: LevelNote, Seq: n.Seq}
	a := n.Data
	switch n.Type {
	case schema.TypeAlertResolved:
		f.Level = LevelGood
	case schema.TypeAlertUnacknowledged:
		f.Level = LevelBad
	}
	if wording.IsAnswer(n.CloudEvent) {
		f.Kind = KindAcknowledgement
		f.Text = wording.AnswerText(n.CloudEvent, func(t time.Time) string { return t.Format(stamp) })
		return f
	}

	word := strings.TrimPrefix(n.Type, "supernats.alert.")
	if a.Escalation > 0 {
		f.Level = LevelBad
		word = wording.Escalated(a)
	}
	quiet := ""
	if a.Quiet {
		quiet = "for the record"
	}
	f.Text = "notification: " + wording.Join(", ", word, wording.Count(len(a.Events), "event", "events"), quiet)
	return f
}

// addDelivery adds what became of a notification at a receiver. What waits is at its end.
func (t *Timeline) addDelivery(n *inspect.SentNotification, d *inspect.Delivery) {
	f := Fact{Kind: KindDelivery, Level: LevelNote, Seq: n.Seq, Time: n.Time}
	receiver := wording.Clip(d.Receiver, wording.MaxText)
	switch d.Status {
	case inspect.DeliveryTaken:
		f.Text = receiver + " was notified"
		if d.Taken == nil {
			f.Text += ", when is no longer known"
		} else {
			f.Time = *d.Taken
		}
	case inspect.DeliveryParked:
		f.Level, f.Text = LevelBad, receiver+" was not notified: "+wording.Clip(d.Error, wording.MaxText)
	default:
		f.Text = receiver + " is to be notified"
		if d.Error != "" {
			f.Level = LevelBad
			tries := wording.Count(d.Tries, "try", "tries")
			f.Text += "; " + tries + " failed: " + wording.Clip(d.Error, wording.MaxText)
		}
	}
	t.add(f)
}

// factOfMatch is an event that matched the rule.
func (t *Timeline) factOfMatch(n *schema.Notification, ev *schema.AlertEvent) Fact {
	f := Fact{
		Time: ev.Time, Kind: KindEvent, Level: LevelBad, Seq: ev.Seq, Log: ev.Log,
		Host:    wording.Clip(cmp.Or(ev.Host, n.Host), wording.MaxName),
		Process: processName(cmp.Or(ev.Group, n.Group), cmp.Or(ev.Process, n.Process)),
	}
	what := wording.Clip(ev.Event, wording.MaxName)
	if p, ok := wording.OfEvent(n.Rule, ev); ok {
		what = p.Text()
	}
	f.Text = wording.Join(", ", what, wording.EndOfLife(ev), lost(ev), wording.Clip(ev.Text, wording.MaxText))
	if ev.Late {
		f.Text += ", became known late"
	}
	return f
}

func lost(ev *schema.AlertEvent) string {
	if ev.Lost == 0 {
		return ""
	}
	return wording.Number(ev.Lost) + " lost"
}

func processName(group, process string) string {
	return wording.Clip(wording.ProcessName(group, process), 2*wording.MaxName)
}

// factOf is an event around the incident.
func factOf(e *history.StoredEvent) Fact {
	ev := schema.AlertEvent{
		Event: e.Data.Event, Expected: e.Data.Expected, Exit: e.Data.Exit, Ran: e.Data.Ran, PID: e.Data.PID,
	}
	f := Fact{
		Time: e.Time, Kind: KindEvent, Level: LevelNote, Seq: e.Seq, Log: e.Data.Log,
		Host:    wording.Clip(e.Data.Host, wording.MaxName),
		Process: processName(e.Data.Group, e.Data.Process),
	}

	what := wording.Clip(ev.Event, wording.MaxName)
	if p, ok := wording.OfEvent("", &ev); ok {
		what = p.Text()
	}
	pid := ""
	if ev.PID != 0 {
		pid = "pid " + strconv.Itoa(ev.PID)
	}
	f.Text = wording.Join(", ", what, wording.EndOfLife(&ev), pid)

	switch {
	case e.Data.UnexpectedExit(), e.Data.Event == schema.ProcessStateFatal, e.Data.Event == schema.ProcessStateBackoff:
		f.Level = LevelBad
	case e.Data.Event == schema.ProcessStateRunning:
		f.Level = LevelGood
	}
	return f
}

// State is whether the incident is open, and for how long it has been or was.
func (t *Timeline) State(now time.Time) string {
	if t.Phase == schema.PhaseResolved && t.Closed == nil {
		return "over"
	}
	return t.Phase + " for " + wording.Span(t.Lasted(now))
}

// Lasted is how long the incident has been open, or was.
func (t *Timeline) Lasted(now time.Time) time.Duration {
	end := now
	if t.Closed != nil {
		end = t.Closed.Time
	}
	return max(0, end.Sub(t.Opened.Time))
}
