// Package gate decides whether an alert may be reported now. Five things can hold a
// notification back, and the first that does is the verdict:
//
//  1. a silence that an operator made: until it expires;
//  2. a mute_during of the rule: until that interval ends;
//  3. the restart of the host's supervisord: until it runs, or mute_restarts is over;
//  4. an alert about the same host of a rule in inhibited_by: until it ends;
//  5. the horizon: what time alone has made must not be older than what an event may be.
//
// How many notifications there are is none of its business: what bounds that belongs into
// package incident, into Notifier.
//
// A gate is asked and keeps nothing of what it holds back: see package incident for that.
// It never blocks. It takes some 100 bytes for each silence, each host that restarts and
// each pair of host and inhibiting rule that fires; a verdict looks at every silence.
package gate

import (
	"slices"
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

// Verdict says what holds a notification back. The zero value is: nothing does.
type Verdict struct {
	// MutedBy is the id of a silence, ByInterval or ByRestart.
	MutedBy string
	// InhibitedBy is the name of a rule.
	InhibitedBy string
	// Old says that it would be history.
	Old bool
	// Until is when to ask again; zero if only the end of another alert can change it.
	Until time.Time
}

// Held reports whether anything holds the notification back.
func (v Verdict) Held() bool { return v != Verdict{} }

// Reasons in Verdict.MutedBy besides the id of a silence.
const (
	ByInterval = "mute_during"
	ByRestart  = "mute_restarts"
)

// Gate knows what holds notifications back.
type Gate struct {
	// muteRestarts is how long the restart of a supervisord holds back at most; 0: not.
	muteRestarts time.Duration
	// silences are sorted by their ends, the last one first.
	silences []silence
	// restarting is since when the supervisord of a host has been stopping.
	restarting map[string]time.Time
	// firing is how many alerts of an inhibiting rule fire for a host.
	firing map[firing]int
	// horizon is before when things are too old to be reported.
	horizon time.Time
}

type firing struct {
	rule *rules.Rule
	host string
}

// New returns a gate that is open.
func New(muteRestarts time.Duration) *Gate {
	return &Gate{muteRestarts: muteRestarts, restarting: map[string]time.Time{}, firing: map[firing]int{}}
}

// Verdict says what holds a notification about an alert back at a time.
func (g *Gate) Verdict(r *rules.Rule, k rules.Key, at time.Time) Verdict {
	for i := range g.silences {
		if s := &g.silences[i]; s.covers(r, k, at) {
			return Verdict{MutedBy: s.id, Until: s.expires}
		}
	}
	if until, ok := r.MutedUntil(at); ok {
		return Verdict{MutedBy: ByInterval, Until: schema.Instant(until)}
	}
	if since, ok := g.restarting[k.Host]; ok {
		if until := since.Add(g.muteRestarts); at.Before(until) {
			return Verdict{MutedBy: ByRestart, Until: until}
		}
	}

	for _, by := range r.InhibitedBy {
		if g.firing[firing{by, k.Host}] > 0 {
			return Verdict{InhibitedBy: by.Name}
		}
	}

	// An event that is too old does not match at all. What time alone has made must be as
	// young; if it still holds when the horizon has passed, it is reported.
	if madeByTime(r.Kind) && at.Before(g.horizon) {
		return Verdict{Old: true, Until: schema.Instant(g.horizon.Add(time.Microsecond))}
	}
	return Verdict{}
}

func madeByTime(kind string) bool {
	switch kind {
	case schema.KindState, schema.KindQuorum, schema.KindSilent, schema.KindTrouble:
		return true
	}
	return false
}

// Fires counts the alerts of a rule that fire for a host: n is 1 for one that begins to,
// -1 for one that ends.
func (g *Gate) Fires(r *rules.Rule, host string, n int) {
	if !r.Inhibits {
		return
	}
	f := firing{r, host}
	g.firing[f] += n
	if g.firing[f] <= 0 {
		delete(g.firing, f)
	}
}

// Horizon sets before when things are too old to be reported. It only becomes later.
func (g *Gate) Horizon(t time.Time) {
	if t.After(g.horizon) {
		g.horizon = t
	}
}

// MutesRestarts reports whether restarts hold anything back.
func (g *Gate) MutesRestarts() bool { return g.muteRestarts > 0 }

// Stopping notes since when the supervisord of a host has been stopping.
func (g *Gate) Stopping(host string, since time.Time) { g.restarting[host] = since }

// IsStopping reports whether it is.
func (g *Gate) IsStopping(host string) bool {
	_, is := g.restarting[host]
	return is
}

// Running notes that the supervisord of a host runs, or that the host is gone. It reports
// whether it was stopping.
func (g *Gate) Running(host string) (was bool) {
	_, was = g.restarting[host]
	delete(g.restarting, host)
	return was
}

// silence is one that an operator made.
type silence struct {
	id                              string
	hosts, groups, processes, rules rules.Globs
	created, expires                time.Time
}

// covers reports whether the silence holds an alert back at a time.
func (s *silence) covers(r *rules.Rule, k rules.Key, at time.Time) bool {
	return !at.Before(s.created) && at.Before(s.expires) && s.rules.Match(r.Name) &&
		s.hosts.Match(k.Host) && s.groups.Match(k.Group) && s.processes.Match(k.Process)
}

// SetSilences replaces the silences, each of which holds from its Created to its Expires.
// It returns the ids of those that it replaced.
func (g *Gate) SetSilences(list []schema.Mute) (replaced []string) {
	for _, s := range g.silences {
		replaced = append(replaced, s.id)
	}

	g.silences = nil
	for _, m := range list {
		g.silences = append(g.silences, silence{
			id:    m.ID,
			hosts: rules.NewGlobs(m.Hosts), groups: rules.NewGlobs(m.Groups),
			processes: rules.NewGlobs(m.Processes), rules: rules.NewGlobs(m.Rules),
			created: schema.Instant(m.Created.Time), expires: schema.Instant(m.Expires.Time),
		})
	}
	slices.SortFunc(g.silences, func(a, b silence) int { return b.expires.Compare(a.expires) })
	return replaced
}
