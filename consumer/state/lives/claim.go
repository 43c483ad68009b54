package lives

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/schema"
)

// Claim is what a message of one boot may do to the record of a process that belongs to
// another boot.
type Claim int

const (
	// ClaimNothing: the message is of a life before that of the record, or of another
	// supervisord. Events are counted.
	ClaimNothing Claim = iota
	// ClaimConflict: both live, and have the same process. Events are counted.
	ClaimConflict
	// ClaimEvents: nobody knows yet whether the other one lives. What happens is applied,
	// what a table shows is not.
	ClaimEvents
	// ClaimRows: the other one is silent. A row of a table is applied; that there is none
	// says nothing.
	ClaimRows
	// ClaimAll: the other one is over.
	ClaimAll
)

// ClaimOf decides what a boot may do to a record.
func (h *Host) ClaimOf(boot string, r *schema.ProcessRecord, stored time.Time) Claim {
	if r.Boot == boot || r.Boot == "" {
		return ClaimAll
	}

	owner := h.Record.Life(r.Boot)
	l := h.Record.Life(boot)
	switch {
	case owner == nil || l == nil:
		return ClaimAll
	case l.Ended != nil && (owner.Ended == nil || l.Begun.Before(owner.Begun.Time)):
		return ClaimNothing
	case owner.Ended != nil || r.Gone != nil:
		return ClaimAll
	case h.isSilent(owner, stored, schema.SilentAfter):
		return ClaimRows
	case isConcurrent(owner, l):
		return ClaimConflict
	case l.Begun.Before(owner.Begun.Time):
		return ClaimNothing
	case areIdentified(owner, l) && !isSame(owner, l):
		return ClaimNothing // two supervisords, of which one has just begun
	}
	return ClaimEvents
}

// Conflict is the processes that two lives have, as far as a message shows them.
type Conflict struct {
	owner string // the boot whose process is shown
	names []string
	more  int
}

// maxNamed is how many processes the text of a trouble names.
const maxNamed = 3

// Add takes the record of a process that another life has too.
func (c *Conflict) Add(r *schema.ProcessRecord) {
	c.owner = r.Boot
	if len(c.names) == maxNamed {
		c.more++
		return
	}
	c.names = append(c.names, r.Group+":"+r.Process)
}

// IsBridge reports whether a group is the section of a bridge of the host, or the one for
// output beside it (`supernats-bridge conf` adds logsSuffix to its name). Supervisords of
// one host all have those, and nobody mistakes one for the other.
func (h *Host) IsBridge(group string) bool {
	name := strings.TrimSuffix(group, logsSuffix)
	return slices.ContainsFunc(h.Record.Bridges, func(b schema.HostBridge) bool {
		return strings.TrimSuffix(b.Pool, logsSuffix) == name
	})
}

const logsSuffix = "-logs"

// ReportConflict notes that a boot has processes which another living one has too, or no
// more. complete says that all its processes were looked at.
func (ts Troubles) ReportConflict(boot string, c Conflict, at time.Time, complete bool) {
	own := ownTrouble{schema.TroubleConflict, boot}
	l := ts.rec.Life(boot)
	owner := ts.rec.Life(c.owner)
	if len(c.names) == 0 || l == nil || owner == nil {
		if complete {
			ts.endOwn(own)
		}
		return
	}
	stored := instant(at)
	if !complete && ts.repeatOwn(own, stored) {
		return // the last table has named them all
	}

	names := strings.Join(c.names, ", ")
	if c.more > 0 {
		names += " and " + strconv.Itoa(c.more) + " more"
	}
	text := "two supervisords publish as this host and have the same processes: " + names +
		" run under " + label(owner) + ", which is shown, and under " + label(l)
	ts.add(schema.HostTrouble{
		Cause: schema.TroubleConflict, Server: l.Server, Boot: l.Boot, Since: stored, Happened: stored, Last: stored,
		Text: clean(text, maxText),
		Fix:  "give the bridge of one of them another --host, or its programs other names",
	})
}

func label(l *schema.HostLife) string { return "\"" + l.Server + "\" (boot " + l.Boot + ")" }
