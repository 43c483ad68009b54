package alerts

import "supernats/schema"

// applyAck takes that somebody takes care of an alert, or no longer does. One that is over,
// or that these rules do not make, is not changed.
func (g *Engine) applyAck(m Meta, ce *schema.CloudEvent[*schema.Ack]) {
	a := ce.Data
	rule := g.set.Rule(a.Rule)
	if rule == nil || g.restored.knows(m) {
		return
	}
	inc := g.book.Register.Named(a.Incident, rule, a.Host, a.Group, a.Process)
	if inc == nil || inc.Knows(m) {
		return
	}

	if ce.Type == schema.TypeUnack {
		g.book.Answers.Unacknowledge(inc, a, m.Stored)
	} else {
		g.book.Answers.Acknowledge(inc, a, m.Stored)
	}
}
