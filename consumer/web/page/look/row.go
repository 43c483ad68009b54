package look

import (
	"supernats/consumer/fleet"
	"supernats/consumer/web/site"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Row is a line of a list, and leads to a page.
type Row struct {
	ID, Path string
	Mark     Mark
	Who, Why string
	At       Moment
}

// AlertRow is an alert on a list.
func AlertRow(a *fleet.Alert, now Clock) Row {
	at := now.At(a.Opened.Time)
	if a.Phase == schema.PhaseResolved {
		at = now.AtTime(a.Closed)
	}
	return Row{
		ID: DOMID("a", a.Incident), Path: site.AlertPath(a.Incident), Mark: AlertMark(a),
		Who: About(&a.Alert), Why: AlertWhy(&a.Alert), At: at,
	}
}

// ProcessRow is a process on a list; with its host where there are others of other hosts.
func ProcessRow(p *fleet.Process, now Clock, withHost bool) Row {
	who := Name(wording.ProcessName(p.Group, p.ProcessRecord.Process))
	if withHost {
		who = Name(p.Host) + " · " + who
	}
	return Row{
		ID: DOMID("p", p.Host, p.Group, p.ProcessRecord.Process), Mark: MarkOf(p), Who: who, Why: ProcessWhy(p),
		Path: site.ProcessPath(p.Host, p.Group, p.ProcessRecord.Process), At: now.At(p.Since.Time),
	}
}

// HostRow is a host with those of its processes that are shown at once.
type HostRow struct {
	Row
	Wrong []Row
	// Rest says what else it has.
	Rest string
}

// NewHostRow shows up to room processes that are wrong.
func NewHostRow(h *fleet.Host, now Clock, room int) HostRow {
	at := now.At(h.LastSeen.Time)
	r := HostRow{
		Row: Row{
			ID: DOMID("h", h.Name()), Path: site.HostPath(h.Name()), Mark: HostMark(h), Who: Name(h.Name()),
			Why: HostWhy(h), At: at,
		},
	}
	if h.UnknownSince != nil { // all are unknown then
		return r
	}
	// It is seen every few seconds: that is no change worth a line.
	r.At = Moment{}
	more := 0
	for _, p := range h.Processes {
		if p.Level() < fleet.Warning {
			continue
		}
		if len(r.Wrong) < room { // the others are counted
			r.Wrong = append(r.Wrong, ProcessRow(p, now, false))
		} else {
			more++
		}
	}
	all := wording.Count(len(h.Processes), "process", "processes")
	switch {
	case more > 0:
		r.Rest = Number(more) + " more that are not well, of " + all
	case len(h.Processes) == 1:
		r.Rest = r.Who + " has no other process"
	default:
		r.Rest = "All " + all + " of " + r.Who
	}
	return r
}
