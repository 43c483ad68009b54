package state

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"supernats/schema"
)

const (
	// maxTroubles, maxCause and maxText bound what a host's record says of troubles.
	maxTroubles = 32
	maxCause    = 40
	maxName     = 60
	maxText     = 300
	// troubleLasts is how long a trouble lasts without being reported again: a bridge
	// does so every hour.
	troubleLasts = 150 * time.Minute
	// startMargin is by how much a trouble must be older than the start of a bridge
	// to be one of the bridge before.
	startMargin = 2 * time.Second
)

// Trouble applies a record of what a bridge cannot do.
func (f *Fleet) Trouble(m Meta, ce *schema.CloudEvent[*schema.Trouble]) Changes {
	t := ce.Data
	h := f.begin(m, t.Host)
	if f.changes.Host == nil {
		return f.changes
	}
	at, cause := instant(ce.Time.Time), Clean(t.Cause, maxCause)
	if cause == "" {
		return f.changes
	}
	if h.life(t.Boot) != nil {
		// It begins none: a bridge may report one before it knows its supervisord.
		h.live(m, t.Boot, t.Server, t.Pool, ce.Time.Time)
	}
	h.fade(m)
	if t.Over {
		h.endTroubles(func(old *schema.HostTrouble) bool {
			return old.Cause == cause && h.sameBridge(old, t.Boot, t.Pool) && !old.Happened.After(at.Time)
		})
		return f.changes
	}
	since := at
	if told := instant(t.Since.Add(m.Shift)); !t.Since.IsZero() && told.Year() > 0 && told.Before(at.Time) {
		since = told
	}
	// A bridge that is a new process says of a trouble that lasts that it is new.
	h.endTroubles(func(old *schema.HostTrouble) bool {
		return old.Cause == cause && old.Boot != t.Boot && h.sameBridge(old, t.Boot, t.Pool) && !old.Happened.After(at.Time)
	})
	h.trouble(schema.HostTrouble{
		Cause: cause, Text: Clean(t.Text, maxText), Fix: Clean(t.Fix, maxText), Since: since,
		Server: strings.Clone(t.Server), Boot: strings.Clone(t.Boot), Pool: strings.Clone(t.Pool), Happened: at, Last: instant(m.Stored),
	})
	return f.changes
}

// Resent applies a record of an event that the stream took for a duplicate.
func (f *Fleet) Resent(m Meta, ce *schema.CloudEvent[*schema.Resent]) Changes {
	h := f.begin(m, ce.Data.Host)
	if f.changes.Host != nil {
		h.rec.Resent++
		h.rec.LastResent = new(instant(m.Stored))
	}
	return f.changes
}

// sameBridge reports whether a trouble is one of a bridge, in this life of its
// supervisord, in one before, or before the bridge knew which one it is.
func (h *host) sameBridge(t *schema.HostTrouble, boot, pool string) bool {
	if t.Pool != pool {
		return false
	}
	if t.Boot == boot {
		return true
	}
	a, b := h.life(t.Boot), h.life(boot)
	switch {
	case b == nil:
		return false
	case a == nil:
		return t.Server == "" || t.Server == b.Server
	}
	return same(a, b) && !concurrent(a, b)
}

// trouble adds one, or brings what is known of it up to date.
func (h *host) trouble(t schema.HostTrouble) {
	for i := range h.rec.Troubles {
		old := &h.rec.Troubles[i]
		if old.Cause != t.Cause || old.Boot != t.Boot || old.Pool != t.Pool {
			continue
		}
		if t.Happened.Before(old.Happened.Time) {
			return
		}
		if old.Since.Before(t.Since.Time) {
			t.Since = old.Since
		}
		*old = t
		return
	}
	if len(h.rec.Troubles) >= maxTroubles {
		h.rec.MoreTroubles++
		// What bridges report, which may be anything, hides nothing that was found here.
		i := slices.IndexFunc(h.rec.Troubles, func(old schema.HostTrouble) bool { return !isOwn(&old) })
		if i < 0 || !isOwn(&t) {
			return
		}
		h.rec.Troubles = slices.Delete(h.rec.Troubles, i, i+1)
	}
	h.rec.Troubles = append(h.rec.Troubles, t)
}

// endTroubles drops those that are over.
func (h *host) endTroubles(over func(*schema.HostTrouble) bool) {
	before := len(h.rec.Troubles)
	h.rec.Troubles = slices.DeleteFunc(h.rec.Troubles, func(t schema.HostTrouble) bool { return over(&t) })
	if len(h.rec.Troubles) < before {
		h.rec.MoreTroubles = 0 // those that last are reported again
	}
	if len(h.rec.Troubles) == 0 {
		h.rec.Troubles = nil
	}
}

// fade drops troubles that have not been reported again for too long, such as those
// of a bridge that was killed.
func (h *host) fade(m Meta) {
	h.endTroubles(func(t *schema.HostTrouble) bool {
		return t.Cause != schema.TroubleClock && m.Stored.Sub(t.Last.Time) > troubleLasts
	})
}

// conflict is two lives that have the same process.
type conflict struct {
	owner string // the boot whose process is shown
	names []string
	more  int
}

// maxNamed is how many processes the text of a trouble names.
const maxNamed = 3

// isBridge reports whether a group is the section of a bridge of the host, or the one
// for output beside it (`supernats-bridge conf` adds logsSuffix to its name):
// supervisords of one host all have those, and nobody mistakes one for the other.
func (h *host) isBridge(group string) bool {
	name := strings.TrimSuffix(group, logsSuffix)
	return slices.ContainsFunc(h.rec.Bridges, func(b schema.HostBridge) bool {
		return strings.TrimSuffix(b.Pool, logsSuffix) == name
	})
}

const logsSuffix = "-logs"

func (c *conflict) add(r *schema.ProcessRecord) {
	if c.owner = r.Boot; len(c.names) == maxNamed {
		c.more++
		return
	}
	c.names = append(c.names, r.Group+":"+r.Process)
}

// conflicts says that a boot has processes which another living one has too, or no
// more. complete says that all its processes were looked at.
func (h *host) conflicts(boot string, c conflict, at time.Time, complete bool) {
	mine := func(t *schema.HostTrouble) bool {
		return t.Pool == "" && t.Cause == schema.TroubleConflict && t.Boot == boot
	}
	l, owner := h.life(boot), h.life(c.owner)
	if len(c.names) == 0 || l == nil || owner == nil {
		if complete {
			h.endTroubles(mine)
		}
		return
	}
	stored := instant(at)
	if i := slices.IndexFunc(h.rec.Troubles, func(t schema.HostTrouble) bool { return mine(&t) }); i >= 0 && !complete {
		h.rec.Troubles[i].Happened, h.rec.Troubles[i].Last = stored, stored // the last table has named them all
		return
	}
	names := strings.Join(c.names, ", ")
	if c.more > 0 {
		names += " and " + strconv.Itoa(c.more) + " more"
	}
	h.trouble(schema.HostTrouble{
		Cause: schema.TroubleConflict, Server: l.Server, Boot: l.Boot, Since: stored, Happened: stored, Last: stored,
		Text: Clean("two supervisords publish as this host and have the same processes: "+names+" run under "+label(owner)+", which is shown, and under "+label(l), maxText),
		Fix:  "give the bridge of one of them another --host, or its programs other names",
	})
}

func label(l *schema.HostLife) string { return "\"" + l.Server + "\" (boot " + l.Boot + ")" }

// Clean makes one visible line of a text of somebody else's, of at most max bytes.
func Clean(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsGraphic(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
	if cut := "…"; len(s) > max {
		s = strings.ToValidUTF8(s[:max-len(cut)], "") + cut
	}
	return strings.Clone(s)
}
