package letter

import (
	"slices"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
	"supernats/schema"
)

// report is a batch that has passed the door.
type report struct {
	// raw is the batch as it came, clean what may be shown of it: the same notifications
	// in the same order.
	raw, clean []*notify.Notification
}

func newReport(batch []*notify.Notification) *report {
	r := &report{raw: batch, clean: make([]*notify.Notification, len(batch))}
	for i, n := range batch {
		r.clean[i] = admit(n)
	}
	return r
}

// admit is the door through which notifications come in: what it returns is a copy in
// which every text is visible, and bounded by maxField or summary.MaxName. Nothing after
// it escapes anything; a line that has less room cuts.
//
// Four things pass as they are. An incident's id is a key. Logs are cleaned where they are
// shown, which few of them are. So is the description, which has lines. The command quotes
// the names of a notification as it came.
func admit(n *notify.Notification) *notify.Notification {
	a := *n.Data
	a.Rule, a.Severity = wording.Cell(a.Rule, maxField), wording.Cell(a.Severity, maxField)
	a.Host, a.Group = wording.Cell(a.Host, maxField), wording.Cell(a.Group, maxField)
	a.Process, a.State = wording.Cell(a.Process, maxField), wording.Cell(a.State, maxField)
	a.Labels, a.Annotations = admitMap(a.Labels), admitAnnotations(a.Annotations)

	a.By, a.Reason = wording.Cell(a.By, summary.MaxName), wording.Clip(a.Reason, maxField)
	a.Cause = wording.Cell(a.Cause, summary.MaxName)
	if a.Acknowledged != nil {
		ack := *a.Acknowledged
		ack.By, ack.Reason = wording.Cell(ack.By, summary.MaxName), wording.Clip(ack.Reason, maxField)
		a.Acknowledged = &ack
	}
	a.Events = admitEvents(a.Events)

	clean := *n
	clean.Data = &a
	return &clean
}

// admitEvents copies the events only where something in them is not clean, which is rare.
func admitEvents(events []schema.AlertEvent) []schema.AlertEvent {
	copied := false
	for i := range events {
		clean := admitEvent(&events[i])
		if clean == events[i] {
			continue
		}
		if !copied {
			events = slices.Clone(events)
			copied = true
		}
		events[i] = clean
	}
	return events
}

func admitEvent(ev *schema.AlertEvent) schema.AlertEvent {
	clean := *ev
	clean.ID, clean.Server = wording.Cell(ev.ID, maxField), wording.Cell(ev.Server, maxField)
	clean.Host, clean.Group = wording.Cell(ev.Host, maxField), wording.Cell(ev.Group, maxField)
	clean.Process = wording.Cell(ev.Process, maxField)
	clean.Event = wording.Cell(ev.Event, summary.MaxName)
	clean.FromState = wording.Cell(ev.FromState, summary.MaxName)
	clean.Cause = wording.Clip(ev.Cause, summary.MaxName)
	clean.Text, clean.Fix = wording.Clip(ev.Text, maxField), wording.Clip(ev.Fix, maxField)
	clean.Exit = admitExit(ev.Exit)
	return clean
}

func admitExit(x *schema.Exit) *schema.Exit {
	if x == nil {
		return nil
	}

	signal, source := wording.Cell(x.Signal, summary.MaxName), wording.Cell(x.Source, summary.MaxName)
	spawnErr, oom := wording.Clip(x.SpawnErr, maxField), admitOOM(x.OOM)
	if signal == x.Signal && source == x.Source && spawnErr == x.SpawnErr && oom == x.OOM {
		return x
	}

	clean := *x
	clean.Signal, clean.Source = signal, source
	clean.SpawnErr, clean.OOM = spawnErr, oom
	return &clean
}

func admitOOM(o *schema.OOM) *schema.OOM {
	if o == nil {
		return nil
	}
	cgroup := wording.Cell(o.Cgroup, maxField)
	if cgroup == o.Cgroup {
		return o
	}
	return &schema.OOM{Cgroup: cgroup, Limit: o.Limit, Peak: o.Peak}
}

// admitMap is for labels and annotations. Their keys have no more room than names.
func admitMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}

	clean := make(map[string]string, len(m))
	for key, value := range m {
		clean[wording.Cell(key, summary.MaxName)] = wording.Clip(value, maxField)
	}
	return clean
}

// admitAnnotations is admitMap, but for the annotations that stand in sentences.
func admitAnnotations(m map[string]string) map[string]string {
	clean := admitMap(m)
	for _, key := range []string{notify.AnnotationSummary, notify.AnnotationReason} {
		if value, ok := m[key]; ok {
			clean[key] = wording.Cell(value, maxField)
		}
	}
	return clean
}
