package incident

import (
	"supernats/consumer/alerts/member"
	"supernats/schema"
)

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
