package alerts

import "time"

// TrustSilence says that of the time before it nobody can tell whether a host was
// silent: what all hosts send is not kept for ever.
func (g *Engine) TrustSilence(from time.Time) {
	from = instant(from)
	g.trusted = later(g.trusted, from)
}

// Dirty reports whether Changed has something to return.
func (g *Engine) Dirty() bool { return len(g.changed)+len(g.deleted)+len(g.orphans) > 0 }
