package letter

import (
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

	a.Events = make([]schema.AlertEvent, len(a.Events))
	for i := range a.Events {
		a.Events[i] = admitEvent(&n.Data.Events[i])
	}

	clean := *n
	clean.Data = &a
	return &clean
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

	clean := *x
	clean.Signal = wording.Cell(x.Signal, summary.MaxName)
	clean.Source = wording.Cell(x.Source, summary.MaxName)
	clean.SpawnErr = wording.Clip(x.SpawnErr, maxField)
	if x.OOM != nil {
		clean.OOM = &schema.OOM{
			Cgroup: wording.Cell(x.OOM.Cgroup, maxField), Limit: x.OOM.Limit, Peak: x.OOM.Peak,
		}
	}
	return &clean
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
