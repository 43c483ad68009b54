package incident

import (
	"supernats/consumer/alerts/member"
	"supernats/schema"
)

// endings say in words why an alert ended, where that is not that all has recovered.
var endings = map[string]string{
	schema.EndedStopped:     "it was stopped",
	schema.EndedRemoved:     "supervisord does not have it any more",
	schema.EndedSupervisord: "its supervisord was stopped",
	schema.EndedSnapshot:    "the process table shows that it has recovered; no event said so",
	schema.EndedRule:        "its rule is not in the configuration any more",
}

// setEnd notes why an alert is about to end. That stands until it lasts after all.
func (inc *Incident) setEnd(by string) {
	inc.rec.EndedBy = by
	inc.rec.Ended = endings[by]
}

// clearEnd notes that an alert does not end, or has not ended.
func (inc *Incident) clearEnd() {
	inc.rec.EndedBy = ""
	inc.rec.Ended = ""
}

// showState notes the state of its process in an incident that is about that alone.
func (inc *Incident) showState(p *member.Process) (changed bool) {
	if inc.isAboutMany() || inc.rec.State == p.State {
		return false
	}
	inc.rec.State = p.State
	return true
}

// noteRun notes since when the process has run.
func noteRun(mem *member.Member, s *schema.ProcessRecord) (changed bool) {
	since := schema.Instant(s.Since.Time)
	begins := mem.Process.State == schema.StateStarting && !mem.Began.Equal(since)
	if begins || mem.Process.IsRunning() && mem.Began.IsZero() {
		mem.Began = since
		return true
	}
	return false
}

// describeEnd adds to the notification of an end why it came and what the state is now.
func (inc *Incident) describeEnd(n *schema.Notification) {
	n.Ended = inc.rec.EndedBy
	if n.Ended == "" {
		n.Ended = schema.EndedRecovered
	}
	if n.State != inc.rec.State {
		n.State = inc.rec.State
		n.StateSince = nil
	}
}

// whyWell says how it is known that a process has recovered.
func whyWell(p *member.Process) string {
	if p.Snapshot {
		return schema.EndedSnapshot
	}
	return schema.EndedRecovered
}

// whyAway says why a process need not be well any more.
func (b *Book) whyAway(p *member.Process) string {
	switch {
	case p.Name.Group == "":
		return schema.EndedRecovered // it is no process
	case b.hosts.Stops(p.Name.Host):
		return schema.EndedSupervisord
	case p.State == "":
		return schema.EndedRemoved
	}
	return schema.EndedStopped
}
