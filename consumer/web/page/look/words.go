// Package look says how things look on pages: states as marks, processes, hosts, alerts and
// silences as rows, events as a timeline, numbers over time as bars. It is the model of what
// templates write, and makes no HTML itself.
//
// Whatever others have written goes through package wording here: it is visible characters
// of bounded length.
package look

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/state"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Clock says how long ago something was. The zero clock writes moments instead of spans: in
// what is sent live, which is the same until something happens. The script of the page
// writes spans from both.
type Clock struct{ time.Time }

// ClockOf returns the time for a page: a snapshot is as old as the last change.
func ClockOf(s *fleet.Snapshot) Clock {
	if now := time.Now(); now.After(s.Now) {
		return Clock{now}
	}
	return Clock{s.Now}
}

// Moment is a time for a page.
type Moment struct {
	// ISO is for programs, Text is how long ago it was, or else Full, its date and time.
	ISO, Text, Full string
}

// FullTime is how a date and a time are written.
const FullTime = "2006-01-02 15:04:05 UTC"

// At writes a time; the zero moment for none.
func (c Clock) At(t time.Time) Moment {
	if t.IsZero() {
		return Moment{}
	}
	t = t.UTC()
	m := Moment{ISO: t.Format(time.RFC3339Nano), Full: t.Format(FullTime)}
	m.Text = m.Full
	if !c.IsZero() {
		m.Text = ago(c.Sub(t))
	}
	return m
}

// ago is how long ago something was, as the script of the page writes it too: "4 min ago".
func ago(d time.Duration) string {
	d = max(0, d).Round(time.Second)
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d ago", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	}
	return fmt.Sprintf("%d s ago", d/time.Second)
}

// AtTime is At for a time of a record, which may be nil.
func (c Clock) AtTime(t *schema.Time) Moment {
	if t == nil {
		return Moment{}
	}
	return c.At(t.Time)
}

// Exact is a time to the millisecond, for a timeline.
func Exact(t time.Time) Moment {
	m := Clock{}.At(t)
	m.Text = t.UTC().Format("01-02 15:04:05.000")
	return m
}

// Clip makes a name or a text of others one visible line of bounded length.
func Clip(s string) string { return wording.Cell(s, wording.MaxText) }

// Name makes a name of others visible and short.
func Name(s string) string { return wording.Cell(s, 2*wording.MaxName) }

// DOMID is an id of an element. Names of others are never part of one.
func DOMID(kind string, names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return kind + "-" + hex.EncodeToString(sum[:8])
}

// Mark is a state as a word with a shape and a colour.
type Mark struct{ Class, Shape, Word string }

// Classes of marks, by how bad they are.
var classes = map[fleet.Level]string{
	fleet.Critical: "crit", fleet.Warning: "warn", fleet.Info: "gone", fleet.Well: "ok",
}

// MarkOf is the state of a process.
func MarkOf(p *fleet.Process) Mark {
	class := classes[p.Level()]
	switch p.Status() {
	case state.Down:
		return Mark{class, "✖", p.State}
	case state.Unknown:
		return Mark{class, "○", "unknown"}
	case state.Running:
		if p.StoppingSince != nil {
			return Mark{"warn", "◐", "stopping"}
		}
		return Mark{"ok", "●", p.State}
	case state.Gone:
		return Mark{"gone", "–", "removed"}
	}
	return Mark{"gone", "■", cmp.Or(stoppedWord(p), p.State)}
}

func stoppedWord(p *fleet.Process) string {
	if p.StoppedSince != nil {
		return "STOPPED"
	}
	return ""
}

// AlertMark is the state of an alert.
func AlertMark(a *fleet.Alert) Mark {
	switch {
	case a.Phase == schema.PhaseResolved:
		return Mark{"ok", "✔", "resolved"}
	case a.Phase == schema.PhasePending:
		return Mark{"gone", "…", "pending"}
	case a.Mute != "":
		return Mark{"gone", "◌", "silenced"}
	case a.IsAcknowledged():
		return Mark{"gone", "◉", "acknowledged"}
	case a.Level() == fleet.Critical:
		return Mark{"crit", "✖", "critical"}
	case a.Level() == fleet.Info:
		return Mark{"gone", "●", "info"}
	}
	return Mark{"warn", "▲", wording.Cell(a.Severity, 20)}
}

// HostMark is the worst of a host.
func HostMark(h *fleet.Host) Mark {
	switch class := classes[h.Level]; {
	case h.UnknownSince != nil:
		return Mark{"warn", "○", "silent"}
	case h.ShutDownSince != nil:
		return Mark{"gone", "■", "shut down"}
	case h.Fatal > 0:
		return Mark{"crit", "✖", strconv.Itoa(h.Fatal) + " FATAL"}
	case h.Down > 0:
		return Mark{cmp.Or(warnOnly(class), "warn"), "✖", strconv.Itoa(h.Down) + " down"}
	case h.Silent > 0:
		return Mark{"warn", "○", "part silent"}
	case len(h.Troubles) > 0:
		return Mark{"warn", "▲", "trouble"}
	case hasLost(h):
		return Mark{"warn", "▲", "events lost"}
	case len(h.Open) > 0 && h.Level > fleet.Info:
		return Mark{class, "▲", wording.Count(len(h.Open), "alert", "alerts")}
	}
	return Mark{"ok", "●", "ok"}
}

func warnOnly(class string) string {
	if class == "crit" {
		return class
	}
	return ""
}

// About is whom an alert is about.
func About(a *schema.Alert) string {
	return cmp.Or(wording.Join(" · ", Name(a.Host), Name(wording.ProcessName(a.Group, a.Process))), "the fleet")
}

// AlertWhy says what an alert is about, and why.
func AlertWhy(a *schema.Alert) string {
	n := &schema.Notification{
		Rule: a.Rule, Kind: a.Kind, Severity: a.Severity, Host: a.Host, Group: a.Group, Process: a.Process,
	}
	why := ""
	if a.Last != nil {
		n.Events = []schema.AlertEvent{*a.Last}
		why = wording.Join(" — ", Clip(a.Last.Text), wording.EndOfLife(a.Last))
	}
	what := Clip(a.Annotations["summary"])
	if what == "" {
		what = "matches the rule " + Name(a.Rule)
		if p, ok := wording.OfAlert(n); ok {
			what = p.Text()
		}
	}

	times := ""
	if a.Count > 1 {
		times = strconv.Itoa(a.Count) + " times"
	}
	reason := Clip(a.Annotations[schema.AnnotationReason])
	ended := ""
	if a.Phase == schema.PhaseResolved {
		ended = "over: " + cmp.Or(Clip(a.Ended), "recovered")
	}
	return wording.Join(" · ", wording.Join(", ", what, times), why, reason, ended)
}

// ProcessWhy says how a process is doing, beside its state.
func ProcessWhy(p *fleet.Process) string {
	last := &schema.AlertEvent{Exit: p.Exit, Ran: p.Ran}
	switch p.Status() {
	case state.Running:
		pid := ""
		if p.PID > 0 {
			pid = "pid " + strconv.Itoa(p.PID)
		}
		return wording.Join(" · ", pid, wording.Count(p.Starts, "start", "starts"), unexpectedExits(p))
	case state.Unknown:
		return "was " + p.State + "; nothing comes from its host, or from its supervisord"
	case state.Down:
		return wording.Join(" · ", wording.Reason(p.Exit), wording.Ran(p.Ran), unexpectedExits(p))
	case state.Gone:
		return "its supervisord no longer has it"
	}
	if p.StoppedSince != nil {
		return "its supervisord was shut down"
	}
	if p.State == schema.StateStopped && p.Starts == 0 {
		return "never started"
	}
	return wording.Join(" · ", stoppedBy(p), wording.EndOfLife(last))
}

func stoppedBy(p *fleet.Process) string {
	if schema.IsStopped(p.State) {
		return "stopped by somebody"
	}
	return ""
}

func unexpectedExits(p *fleet.Process) string {
	if p.UnexpectedExits == 0 {
		return ""
	}
	return wording.Count(p.UnexpectedExits, "unexpected exit", "unexpected exits")
}

// HostWhy counts the processes of a host.
func HostWhy(h *fleet.Host) string {
	count := func(n int, what string) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n) + " " + what
	}
	all := h.Running + h.Down + h.Stopped + h.Exited
	if h.UnknownSince != nil {
		return wording.Join(", ", wording.Count(max(all, len(h.Processes)), "process", "processes"),
			count(h.Running, "were running"), "their state is not known")
	}
	return wording.Join(" · ", strconv.Itoa(h.Running)+" of "+strconv.Itoa(all)+" running", count(h.Down, "down"),
		count(h.Stopped, "stopped"), ended(h.Exited), LossText(h))
}

// ended counts the processes that were not meant to run for ever, "" if there are none.
func ended(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 ran to its end"
	}
	return strconv.Itoa(n) + " ran to their end"
}

// hasLost reports whether events of a host were lost recently.
func hasLost(h *fleet.Host) bool {
	return h.LastLoss != nil && time.Since(h.LastLoss.Time) < fleet.LossAge
}

// LossText counts the events that a host has lost, "" if it has lost none.
func LossText(h *fleet.Host) string {
	if h.Lost == 0 {
		return ""
	}
	return wording.Count(h.Lost, "event lost", "events lost")
}

// Number writes a count with separators: 41,203.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
