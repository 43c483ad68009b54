package look

import (
	"strings"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/wording"
)

// Head is what stands above the lists of the fleet.
type Head struct {
	Text   string
	Counts []Count
}

// Count is one of the numbers below the headline.
type Count struct {
	Number int
	Word   string
	Path   string
	Bad    bool
}

// HeadOf sums up the fleet.
func HeadOf(s *fleet.Snapshot) Head {
	n := 0
	for _, t := range Attention(s) {
		if t.NeedsAttention() {
			n++
		}
	}
	t := s.Totals
	return Head{Text: headline(s, n), Counts: []Count{
		{t.Open, plural(t.Open, "open incident", "open incidents"), "/alerts", t.Open > 0},
		{t.Down, "down", "/?state=down", t.Down > 0},
		{t.SilentHosts, plural(t.SilentHosts, "silent host", "silent hosts"), "/?state=unknown", t.SilentHosts > 0},
		{t.Running, "running", "/?state=running", false},
		{t.Stopped, "stopped", "/?state=stopped", false},
		{t.LossHosts, plural(t.LossHosts, "host lost events", "hosts lost events"), "/events", t.LossHosts > 0},
	}}
}

// headline is the state of the fleet in a sentence. It never says that all is well when
// nobody knows.
func headline(s *fleet.Snapshot, n int) string {
	text := wording.Count(n, "thing needs attention", "things need attention")
	switch {
	case n == 0 && len(s.Hosts) == 0:
		return "No host has reported yet"
	case n == 0:
		text = "Nothing needs attention"
	}
	if s.Status.Live {
		return text
	}

	when := "when events were last recorded"
	switch since := s.Status.Since; {
	case since.IsZero():
	case s.Now.Sub(since) < 12*time.Hour:
		when = "at " + since.UTC().Format("15:04:05 UTC")
	default:
		when = "at " + since.UTC().Format(FullTime)
	}
	past := strings.NewReplacer("needs", "needed", "need", "needed")
	return past.Replace(text) + " " + when + "; what has happened since is not known"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Status is whether what is shown is up to date.
type Status struct {
	Live  bool
	Since Moment
	Why   string
	// AsOf is when it was so; empty in what is sent live.
	AsOf Moment
}

// StatusOf says whether a snapshot is up to date.
func StatusOf(s *fleet.Snapshot, now Clock) Status {
	st := Status{Live: s.Status.Live, Why: s.Status.Why}
	if !st.Live && !s.Status.Since.IsZero() {
		st.Since = now.At(s.Status.Since)
	}
	if !now.IsZero() && s.Status.Loaded {
		st.AsOf = Clock{}.At(now.Time)
	}
	return st
}
