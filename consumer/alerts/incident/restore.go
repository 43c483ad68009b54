package incident

import (
	"cmp"
	"maps"

	"supernats/consumer/alerts/backlog"
	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/ending"
	"supernats/consumer/alerts/gate"
	"supernats/consumer/alerts/member"
	"supernats/schema"
)

// Restore continues the incident of a record; nil if the rules do not make it any more,
// and then an alert that was reported is reported to have ended. event describes the
// message with a sequence as the stream has it, or returns nil; it may be nil itself.
func (b *Book) Restore(rec *schema.Alert, event func(seq uint64) *schema.AlertEvent) *Incident {
	inc := b.Register.incidentOf(rec)
	if inc == nil {
		b.endOrphan(rec)
		return nil
	}

	b.put(inc)
	inc.rec = *rec
	inc.note.Restored()
	inc.rec.Severity = inc.rule.Severity
	inc.rec.Notify = inc.rule.NotifyAfter(rec.Escalation)
	inc.known = clock.Mark{Seq: rec.Seq, At: rec.Clock.Time}

	b.Notifier.restoreUnsent(inc, event)
	b.Register.restoreMembers(inc)
	for _, t := range rec.Matched {
		inc.matched = append(inc.matched, t.Time)
	}
	if rec.Due != nil {
		inc.due = rec.Due.Time
	}
	if rec.HeldUntil != nil {
		v := gate.Verdict{MutedBy: rec.MutedBy, InhibitedBy: rec.InhibitedBy, Until: rec.HeldUntil.Time}
		b.Notifier.holdBack(inc, v, rec.Clock.Time)
	}
	if inc.Fires() && rec.HeardSince == nil {
		b.Gate.Fires(inc.rule, inc.key.Host, 1)
	}
	b.Answers.endIfWorse(inc, rec.Severity)
	b.Notifier.schedule(inc)
	return inc
}

// endOrphan ends an alert of a rule that is not there any more.
func (b *Book) endOrphan(rec *schema.Alert) {
	b.Journal.RemoveOrphan(RecordKey(rec))
	if rec.Phase != schema.PhaseFiring || rec.Notifications == 0 {
		return
	}

	last := *rec
	last.Closed = &schema.Time{Time: clock.Later(b.Clock.Now(), rec.Clock.Time)}
	last.Notifications++
	last.Annotations = backlog.WithReason(maps.Clone(last.Annotations), ending.Text(schema.EndedRule))
	n := backlog.NotificationOf(&last, schema.TypeAlertResolved, nil, last.Closed.Time)
	n.Alert.Ended = schema.EndedRule
	b.Notifier.backlog.Put(n)
}

// RecordKey is the key of a record in the bucket of alerts.
func RecordKey(rec *schema.Alert) string {
	return schema.AlertKey(rec.Rule, rec.Host, rec.Group, rec.Process)
}

// restoreUnsent lists what had not been reported.
func (n *Notifier) restoreUnsent(inc *Incident, event func(uint64) *schema.AlertEvent) {
	if event == nil {
		event = func(uint64) *schema.AlertEvent { return nil }
	}
	for _, seq := range inc.rec.Unsent {
		if ev := event(seq); ev != nil {
			n.backlog.Add(&inc.unsent, listedIn(inc, *ev))
		}
	}
	for _, ev := range inc.rec.UnsentStates {
		if inc.rule.Kind == schema.KindEvent { // whoever has read it may know its log
			if whole := event(ev.Seq); whole != nil {
				ev = *whole
			}
		}
		n.backlog.Add(&inc.unsent, listedIn(inc, ev))
	}
}

// restoreMembers joins the processes that keep the incident open.
func (r *Register) restoreMembers(inc *Incident) {
	rec := &inc.rec
	for _, m := range rec.Members {
		name := member.Name{
			Host:    cmp.Or(m.Host, rec.Host),
			Group:   cmp.Or(m.Group, rec.Group),
			Process: cmp.Or(m.Process, rec.Process),
		}
		mem, _ := r.join(inc, r.Roster.Process(name))
		if mem == nil {
			return
		}

		mem.Seq = m.Matched
		if m.Since != nil {
			mem.Wait(m.Since.Time, m.State)
		}
		if m.Well != nil {
			mem.SetWell(m.Well.Time)
		}
		if m.Began != nil {
			mem.Began = m.Began.Time
		}
	}
}
