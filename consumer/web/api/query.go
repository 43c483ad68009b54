package api

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/schema"
)

// params are the parameters of a request, of which each must be asked for: one that nobody
// knows is a mistake, and answering as if it were not there would mislead.
type params struct {
	values url.Values
	known  map[string]bool
	err    error
}

func paramsOf(r *http.Request) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	p := &params{values: values, known: map[string]bool{}}
	if err != nil {
		p.fail("the query cannot be read: %w: want name=value&name=value, percent-encoded", err)
	}
	return p
}

func (p *params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// list returns a parameter that may be given repeatedly, or with commas outside of braces.
func (p *params) list(name string) []string {
	p.known[name] = true
	var all []string
	for _, value := range p.values[name] {
		all = append(all, schema.SplitGlobs([]string{value})...)
	}
	return all
}

// text returns a parameter that may be given once.
func (p *params) text(name string) string {
	p.known[name] = true
	if len(p.values[name]) > 1 {
		p.fail("%s: given %d times, want it once", name, len(p.values[name]))
	}
	return p.values.Get(name)
}

// limit returns how long a page may be. One that asks for more than that gets less, and the
// token of the next page.
func (p *params) limit() int {
	text := p.text("limit")
	if text == "" {
		return fleet.DefaultLimit
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		n, err = math.MaxUint64, nil
	}
	if err != nil || n < 1 {
		p.fail("limit: invalid value %.100q: want a number above 0", text)
	}
	return int(min(n, fleet.MaxLimit))
}

// period returns the time between since and until.
func (p *params) period(now time.Time) history.Period {
	period := history.Period{Since: p.time("since", now), Until: p.time("until", now)}
	if !period.Since.IsZero() && !period.Until.IsZero() && period.Until.Before(period.Since) {
		p.fail("until: %s is before since, %s: want it after", period.Until.UTC().Format(time.RFC3339),
			period.Since.UTC().Format(time.RFC3339))
	}
	return period
}

// time returns a time, written as RFC 3339 or as a duration back from now.
func (p *params) time(name string, now time.Time) time.Time {
	text := p.text(name)
	if text == "" {
		return time.Time{}
	}
	// In a query a + is a space, and many forget to encode that of a zone.
	if t, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1)); err == nil {
		return t
	}
	var back schema.Duration
	if err := back.UnmarshalText([]byte(text)); err != nil || back < 0 {
		p.fail("%s: invalid value %.100q: want a duration back from now (90s, 5m, 7d) or RFC 3339 "+
			"(2026-11-21T19:00:00Z)", name, text)
		return time.Time{}
	}
	return now.Add(-time.Duration(back))
}

// events returns names of events.
func (p *params) events() []string {
	events := p.list("event")
	if err := inspect.CheckEvents(events); err != nil {
		p.fail("event: %w", err)
	}
	return events
}

// check returns what is wrong with the parameters, once all were asked for.
func (p *params) check() error {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !p.known[name] {
			known := slices.Sorted(maps.Keys(p.known))
			p.fail("unknown parameter %.100q: want %s", name, cmp.Or(strings.Join(known, ", "), "none"))
		}
	}
	if p.err != nil {
		return badRequest(p.err)
	}
	return nil
}

// fleetQuery reads what chooses processes and hosts.
func fleetQuery(r *http.Request) (*fleet.Query, error) {
	p := paramsOf(r)
	q := &fleet.Query{
		Hosts: p.list("host"), Groups: p.list("group"), Processes: p.list("process"), States: p.list("state"),
		Text: p.text("q"), Sort: p.text("sort"), Limit: p.limit(), Token: p.text("page_token"),
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := q.Check(); err != nil {
		return nil, badRequest(err)
	}
	return q, nil
}
