// Package rules decides which events are alerts. It is pure: the time is handed
// in, nothing is read or sent.
package rules

import (
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"supernats/schema"
)

// Rule opens an alert for each event that it matches.
type Rule struct {
	// Name is part of the alert's subject and id.
	Name string
	// Severity goes into the alert: critical, warning, info.
	Severity string
	// Match looks at one event.
	Match func(*schema.Event) bool
}

// Defaults are the rules of an installation that has written none: a process
// exited unexpectedly; supervisord gave up starting one (a program that dies
// before its startsecs never exits: it goes from BACKOFF to FATAL).
func Defaults() []Rule {
	return []Rule{
		{Name: "unexpected-exit", Severity: "critical", Match: (*schema.Event).UnexpectedExit},
		{Name: "fatal", Severity: "critical", Match: func(e *schema.Event) bool { return e.Event == schema.ProcessStateFatal }},
	}
}

// Engine applies rules to events.
type Engine struct {
	Rules []Rule
	// Groups are globs of the groups that reach the rules; empty: all.
	Groups []string
	// MaxAge is how old an event may be to be told to people: after it, it is
	// history.
	MaxAge time.Duration
}

// Notification is an alert that is to be published.
type Notification struct {
	// ID is the same whenever the same event is evaluated.
	ID    string
	Alert *schema.Alert
}

// Eval returns the notifications that an event stored under seq causes at a time
// now. tooOld says that there would have been some, had the event been younger.
func (g *Engine) Eval(now time.Time, seq uint64, ce *schema.CloudEvent[*schema.Event]) (notes []Notification, tooOld bool) {
	e := ce.Data
	if !g.hasGroup(e.Group) {
		return nil, false
	}
	for _, r := range g.Rules {
		if !r.Match(e) {
			continue
		}
		if now.Sub(ce.Time.Time) > g.MaxAge {
			return nil, true
		}
		alert := &schema.Alert{
			Alert: r.Name + "/" + ce.ID, Rule: r.Name, Severity: r.Severity,
			Host: e.Host, Group: e.Group, Process: e.Process,
			Opened: ce.Time, Count: 1,
			Events: []schema.AlertEvent{{
				ID: ce.ID, Time: ce.Time, Seq: seq, Event: e.Event, Server: e.Server,
				FromState: e.FromState, PID: e.PID, Exit: e.Exit, Log: e.Log,
			}},
		}
		notes = append(notes, Notification{ID: alert.Alert + "/" + strconv.Itoa(1), Alert: alert})
	}
	return notes, false
}

func (g *Engine) hasGroup(group string) bool {
	// A group is no path: '/' is a character like others.
	const slash = "\x00"
	group = strings.ReplaceAll(group, "/", slash)
	for _, glob := range g.Groups {
		if doublestar.MatchUnvalidated(strings.ReplaceAll(glob, "/", slash), group) {
			return true
		}
	}
	return len(g.Groups) == 0
}
