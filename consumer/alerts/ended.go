package alerts

import (
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

// ended notes why an alert is about to end. That stands until it lasts after all.
func (inc *incident) ended(by string) { inc.rec.EndedBy, inc.rec.Ended = by, endings[by] }

// lasts notes that an alert does not end, or has not ended: what was known of its end is
// no longer true.
func (inc *incident) lasts() { inc.rec.EndedBy, inc.rec.Ended = "", "" }

// whyAway says why a process needs not be well any more, "" of what is no process.
func (g *Engine) whyAway(p *proc) string {
	h := g.hosts[p.name.host]
	switch {
	case p.name.group == "":
		return schema.EndedRecovered
	case h != nil && h.stops:
		return schema.EndedSupervisord
	case p.state == "":
		return schema.EndedRemoved
	}
	return schema.EndedStopped
}

// whyWell says how it is known that a process has recovered.
func whyWell(p *proc) string {
	if p.shown {
		return schema.EndedSnapshot
	}
	return schema.EndedRecovered
}

// shows notes the state of a process in an alert that is about that alone, and since
// when it has run.
func (g *Engine) shows(mem *member, s *schema.ProcessRecord, m Meta) {
	changed := mem.inc.shows(mem.p)
	switch since := instant(s.Since.Time); {
	case mem.p.state == "STARTING" && !mem.began.Equal(since), mem.p.state == running && mem.began.IsZero():
		mem.began, changed = since, true
	}
	if changed {
		g.touch(mem.inc, m.Stored)
	}
}

func (inc *incident) shows(p *proc) (changed bool) {
	if inc.many() || inc.rec.State == p.state {
		return false
	}
	inc.rec.State = p.state
	return true
}

// finish adds to the end of an alert why it came and what the state is now.
func (inc *incident) finish(a *schema.Notification) {
	a.Ended = inc.rec.EndedBy
	if a.Ended == "" {
		a.Ended = schema.EndedRecovered
	}
	a.State = inc.rec.State
}
