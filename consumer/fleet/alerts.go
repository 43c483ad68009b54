package fleet

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"supernats/schema"
)

// AlertQuery chooses alerts, and a page of them. Empty lists let all pass.
type AlertQuery struct {
	// Hosts, Groups, Processes and Rules are globs, Severities and Phases words.
	Hosts, Groups, Processes, Rules, Severities, Phases []string
	// Events are names of what matched last, abstract ones too, or globs.
	Events []string
	// Since and Until choose what was open at some time between them; zero: without a bound.
	Since, Until time.Time
	// Text is a part of "host group:process rule", in any case of letters.
	Text string
	// Limit and Token are as in Query.
	Limit int
	Token string
}

// Check returns an error that says what is wrong with a query.
func (q *AlertQuery) Check() error {
	for _, list := range []struct {
		name  string
		globs []string
	}{{"host", q.Hosts}, {"group", q.Groups}, {"process", q.Processes}, {"rule", q.Rules}} {
		for _, glob := range list.globs {
			if _, err := schema.ParseGlob(glob); err != nil {
				return fmt.Errorf("%s: %w", list.name, err)
			}
		}
	}
	for _, phase := range q.Phases {
		if !slices.Contains(phases, phase) {
			return fmt.Errorf("phase: invalid value %q: want %s", phase, strings.Join(phases, ", "))
		}
	}
	return nil
}

// phases are in the order in which alerts are shown.
var phases = []string{schema.PhaseFiring, schema.PhasePending, schema.PhaseResolved}

// Matches reports whether the query lets an alert pass.
func (q *AlertQuery) Matches(a *Alert) bool {
	return schema.MatchAny(q.Hosts, a.Host) && schema.MatchAny(q.Groups, a.Group) &&
		schema.MatchAny(q.Processes, a.Process) && schema.MatchAny(q.Rules, a.Rule) &&
		(len(q.Severities) == 0 || slices.Contains(q.Severities, a.Severity)) &&
		(len(q.Phases) == 0 || slices.Contains(q.Phases, a.Phase)) && q.matchesText(a) &&
		q.matchesEvent(a) && q.matchesTime(a)
}

func (q *AlertQuery) matchesEvent(a *Alert) bool {
	return len(q.Events) == 0 || a.Last != nil && slices.ContainsFunc(q.Events, func(event string) bool {
		return schema.Is(a.Last.Event, event) || schema.MatchGlob(event, a.Last.Event)
	})
}

func (q *AlertQuery) matchesTime(a *Alert) bool {
	openedInTime := q.Until.IsZero() || !a.Opened.After(q.Until)
	closedBefore := a.Closed != nil && a.Closed.Before(q.Since)
	return openedInTime && !closedBefore
}

func (q *AlertQuery) mark() string {
	return mark(q.Hosts, q.Groups, q.Processes, q.Rules, q.Severities, q.Phases, q.Text, q.Events)
}

func (q *AlertQuery) matchesText(a *Alert) bool {
	return q.Text == "" || strings.Contains(
		strings.ToLower(a.Host+" "+a.Group+":"+a.Process+" "+a.Rule), strings.ToLower(q.Text))
}

// ListAlerts returns a page of the alerts that a query matches: the open ones first, the
// worst of them first.
func (s *Snapshot) ListAlerts(q *AlertQuery) (Page[*Alert], error) {
	page := Page[*Alert]{Of: len(s.Alerts)}
	var list []*Alert
	for _, a := range s.Alerts {
		if q.Matches(a) {
			list = append(list, a)
		}
	}
	page.Total = len(list)

	if q.Token != "" {
		after, err := parseAlertToken(q.Token, q.mark())
		if err != nil {
			return page, err
		}
		i, found := slices.BinarySearchFunc(list, after, compareAlerts)
		if found {
			i++
		}
		list = list[i:]
	}

	page.Items = list[:min(len(list), cmp.Or(q.Limit, DefaultLimit))]
	if len(page.Items) < len(list) {
		page.Next = alertToken(page.Items[len(page.Items)-1], q.mark())
	}
	return page, nil
}

// alertPlace is where an alert stands in the order of compareAlerts.
type alertPlace struct {
	// Query marks the query.
	Query    string      `json:"q"`
	Phase    string      `json:"p"`
	Severity string      `json:"s"`
	Mute     string      `json:"m,omitempty"`
	Acked    bool        `json:"a,omitempty"`
	Opened   schema.Time `json:"o"`
	Incident string      `json:"i"`
}

func alertToken(a *Alert, query string) string {
	at := alertPlace{query, a.Phase, a.Severity, a.Mute, a.IsAcknowledged(), a.Opened, a.Incident}
	text, _ := json.Marshal(at) // it always can
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseAlertToken returns an alert that stands where a token of a query says.
func parseAlertToken(token, query string) (*Alert, error) {
	var at alertPlace
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(text, &at) != nil || at.Query != query {
		return nil, ErrToken
	}
	a := &Alert{Mute: at.Mute, Alert: schema.Alert{
		Phase: at.Phase, Severity: at.Severity, Opened: at.Opened, Incident: at.Incident,
	}}
	if at.Acked {
		a.Acknowledged = &schema.Acknowledgement{}
	}
	return a, nil
}
