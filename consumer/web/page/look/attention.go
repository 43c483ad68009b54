package look

import (
	"cmp"
	"slices"

	"supernats/consumer/fleet"
	"supernats/consumer/web/site"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Thing is something that needs attention: an alert, or a host that no alert is about.
type Thing struct {
	alert *fleet.Alert
	host  *fleet.Host
	// lossy says that it is about the events that the host has lost.
	lossy bool
}

// Attention lists what needs attention, the worst first: a page may not have room for all.
// Of what is alike, open alerts come first, then hosts with something wrong that no open
// alert is about, whatever rules there are, then those that have lost events.
func Attention(s *fleet.Snapshot) (things []Thing) {
	lossAlert := map[string]bool{}
	for _, a := range s.Alerts {
		if !a.IsOpen() {
			break // they are sorted
		}
		t := Thing{alert: a}
		if a.Kind == schema.KindSilent {
			t.host = s.Host(a.Host)
		}
		things = append(things, t)
		if a.Kind == schema.KindLoss {
			lossAlert[a.Host] = true
		}
	}

	var lossy []Thing
	for _, h := range s.Hosts {
		if h.Level >= fleet.Warning && len(h.Open) == 0 {
			things = append(things, Thing{host: h})
		}
		if hasLost(h) && !lossAlert[h.Name()] {
			lossy = append(lossy, Thing{host: h, lossy: true})
		}
	}
	things = append(things, lossy...)
	slices.SortStableFunc(things, func(a, b Thing) int { return cmp.Compare(b.level(), a.level()) })
	return things
}

func (t Thing) level() fleet.Level {
	switch {
	case t.alert != nil:
		return t.alert.Level()
	case t.lossy:
		return fleet.Warning
	}
	return t.host.Level
}

// NeedsAttention reports whether somebody has to do something: not if a silence covers it.
func (t Thing) NeedsAttention() bool { return t.alert == nil || t.alert.Level() > fleet.Info }

func (t Thing) Row(now Clock) Row {
	h := t.host
	if t.alert != nil {
		r := AlertRow(t.alert, now)
		if h != nil && h.UnknownSince != nil {
			r.Why += " — " + HostWhy(h)
		}
		return r
	}
	r := Row{
		ID: DOMID("w", h.Name()), Path: site.HostPath(h.Name()), Mark: HostMark(h), Who: Name(h.Name()),
		Why: HostWhy(h),
	}
	switch {
	case t.lossy:
		r.ID, r.At = DOMID("l", h.Name()), now.AtTime(h.LastLoss)
		r.Mark = Mark{"warn", "▲", "events lost"}
		r.Why = LossText(h) + ", most recently " + LossCause(h)
	case h.UnknownSince != nil:
		r.At = now.AtTime(h.UnknownSince)
	case len(h.Troubles) > 0:
		r.Why, r.At = Clip(h.Troubles[0].Text), now.At(h.Troubles[0].Since.Time)
	}
	return r
}

// LossCause says why a host lost events last.
func LossCause(h *fleet.Host) string {
	if h.LastLoss == nil {
		return "at a time that is not known"
	}
	for i := range h.Bridges {
		if b := &h.Bridges[i]; b.LastLoss != nil && b.LastLoss.Equal(h.LastLoss.Time) {
			return "because " + wording.LossCause(b.LossCause)
		}
	}
	return "at " + h.LastLoss.UTC().Format(FullTime)
}
