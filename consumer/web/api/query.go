package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/fleet"
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
	return &params{values: values, known: map[string]bool{}, err: err}
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

func (p *params) limit() int {
	text := p.text("limit")
	if text == "" {
		return fleet.DefaultLimit
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > fleet.MaxLimit {
		p.fail("limit: invalid value %q: want 1 to %d", text, fleet.MaxLimit)
	}
	return n
}

// time returns a time, written as RFC 3339 or as a duration back from now.
func (p *params) time(name string, now time.Time) time.Time {
	text := p.text(name)
	if text == "" {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t
	}
	var back schema.Duration
	if err := back.UnmarshalText([]byte(text)); err != nil || back < 0 {
		p.fail("%s: invalid value %q: want a duration back from now (90s, 5m, 7d) or RFC 3339 "+
			"(2026-11-21T19:00:00Z)", name, text)
		return time.Time{}
	}
	return now.Add(-time.Duration(back))
}

// check returns what is wrong with the parameters, once all were asked for.
func (p *params) check() error {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !p.known[name] {
			known := slices.Sorted(maps.Keys(p.known))
			p.fail("unknown parameter %q: want %s", name, strings.Join(known, ", "))
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
