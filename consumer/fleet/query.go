package fleet

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/state"
	"supernats/schema"
)

// Orders of lists. Within each, what is alike is sorted by name.
const (
	// SortName: by host, group and process.
	SortName = "name"
	// SortWorst: the worst first.
	SortWorst = "worst"
	// SortSince: what changed last first.
	SortSince = "since"
)

// Sorts are the orders that a query may ask for.
func Sorts() []string { return []string{SortWorst, SortName, SortSince} }

// Limits of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 500
)

// Query chooses processes or hosts, and a page of them. Empty lists let all pass.
type Query struct {
	// Hosts, Groups and Processes are globs, see schema.Glob.
	Hosts, Groups, Processes []string
	// Text is a part of "host group:process", in any case of letters.
	Text string
	// States are names of states ("FATAL") or what becomes of them ("down", "unknown"), in
	// any case of letters.
	States []string
	// Sort is one of Sorts, SortName if empty.
	Sort string
	// Limit is the length of a page, DefaultLimit if 0.
	Limit int
	// Token is that of the page before; empty: the first page.
	Token string
}

// Page is a part of a list.
type Page[T any] struct {
	Items []T
	// Total is how many the query matches on all pages, Of how many there are.
	Total, Of int
	// Next is the token of the next page, "" if this is the last.
	Next string
}

// ErrToken says that a page token is not one of ours, or of another query: what stands before
// it there would be left out.
var ErrToken = errors.New("invalid page token: want the next_page_token of the page before, " +
	"with the same filters and the same sort")

// mark tells queries apart in their page tokens.
func mark(filters ...any) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", filters)
	return strconv.FormatUint(h.Sum64(), 36)
}

func (q *Query) mark() string {
	return mark(q.Hosts, q.Groups, q.Processes, q.Text, q.States, cmp.Or(q.Sort, SortName))
}

// Check returns an error that says what is wrong with a query.
func (q *Query) Check() error {
	for _, list := range []struct {
		name  string
		globs []string
	}{{"host", q.Hosts}, {"group", q.Groups}, {"process", q.Processes}} {
		for _, glob := range list.globs {
			if _, err := schema.ParseGlob(glob); err != nil {
				return fmt.Errorf("%s: %w", list.name, err)
			}
		}
	}
	if q.Sort != "" && !slices.Contains(Sorts(), q.Sort) {
		return fmt.Errorf("sort: invalid value %q: want %s", q.Sort, strings.Join(Sorts(), ", "))
	}
	for _, s := range q.States {
		if !slices.Contains(stateWords(), strings.ToLower(s)) {
			return fmt.Errorf("state: invalid value %q: want one of %s", s, strings.Join(stateWords(), ", "))
		}
	}
	if q.Limit < 0 || q.Limit > MaxLimit {
		return fmt.Errorf("limit: invalid value %d: want 1 to %d", q.Limit, MaxLimit)
	}
	return nil
}

// stateWords are what Query.States may hold, in lower case.
func stateWords() []string {
	words := []string{state.Down, state.Unknown, state.Gone}
	for _, s := range schema.States() {
		words = append(words, strings.ToLower(s))
	}
	return slices.Compact(slices.Sorted(slices.Values(words)))
}

// Status is how the process is, one of the words of package state.
func (p *Process) Status() string {
	switch {
	case p.Gone != nil:
		return state.Gone
	case p.UnknownSince != nil:
		return state.Unknown
	case p.StoppedSince != nil:
		return state.Stopped
	case p.Down:
		return state.Down
	case p.State == schema.StateRunning:
		return state.Running
	case p.State == schema.StateExited:
		return state.Exited
	}
	return state.Stopped
}

// Level returns how bad the process is.
func (p *Process) Level() Level {
	switch p.Status() {
	case state.Down:
		if p.State == schema.StateFatal {
			return Critical
		}
		return Warning
	case state.Unknown:
		return Warning
	}
	return Well
}

// Matches reports whether the query lets a process pass.
func (q *Query) Matches(p *Process) bool {
	return schema.MatchAny(q.Hosts, p.Host) && schema.MatchAny(q.Groups, p.Group) &&
		schema.MatchAny(q.Processes, p.ProcessRecord.Process) && q.matchesState(p) &&
		q.matchesText(p.Host, p.Group, p.ProcessRecord.Process)
}

func (q *Query) matchesState(p *Process) bool {
	return len(q.States) == 0 || slices.ContainsFunc(q.States, func(s string) bool {
		asRecorded := p.UnknownSince == nil && p.Gone == nil
		return asRecorded && strings.EqualFold(s, p.State) || strings.EqualFold(s, p.Status())
	})
}

func (q *Query) matchesText(host, group, process string) bool {
	if q.Text == "" {
		return true
	}
	return strings.Contains(strings.ToLower(host+" "+group+":"+process), strings.ToLower(q.Text))
}

// MatchesHost reports whether the query lets a host pass: by its name, or by that of a
// process of it.
func (q *Query) MatchesHost(h *Host) bool {
	if !schema.MatchAny(q.Hosts, h.Name()) {
		return false
	}
	if len(q.Groups)+len(q.Processes)+len(q.States) == 0 && q.matchesText(h.Name(), "", "") {
		return true
	}
	return slices.ContainsFunc(h.Processes, q.Matches)
}

// Processes returns a page of the processes that a query matches.
func (s *Snapshot) Processes(q *Query) (Page[*Process], error) {
	page := Page[*Process]{}
	var list []*Process
	for _, h := range s.Hosts {
		page.Of += len(h.Processes)
		if !schema.MatchAny(q.Hosts, h.Name()) {
			continue
		}
		for _, p := range h.Processes {
			if q.Matches(p) {
				list = append(list, p)
			}
		}
	}
	return paginate(page, list, q, func(p *Process) place {
		at := place{Host: p.Host, Group: p.Group, Process: p.ProcessRecord.Process}
		switch q.Sort {
		case SortWorst:
			at.Key = -int64(p.Level())
		case SortSince:
			at.Key = -p.Since.UnixNano()
		}
		return at
	})
}

// ListHosts returns a page of the hosts that a query matches.
func (s *Snapshot) ListHosts(q *Query) (Page[*Host], error) {
	page := Page[*Host]{Of: len(s.Hosts)}
	var list []*Host
	for _, h := range s.Hosts {
		if q.MatchesHost(h) {
			list = append(list, h)
		}
	}
	return paginate(page, list, q, func(h *Host) place {
		at := place{Host: h.Name()}
		switch q.Sort {
		case SortWorst:
			at.Key = -(int64(h.Level)<<40 + int64(min(h.Fatal, 1<<19))<<20 + int64(min(h.Down, 1<<19)))
		case SortSince:
			at.Key = -h.LastSeen.UnixNano()
		}
		return at
	})
}

// place is where something stands in an order.
type place struct {
	// Query marks the query, Key is the place in its order; then come the names.
	Query   string `json:"q"`
	Key     int64  `json:"k"`
	Host    string `json:"h"`
	Group   string `json:"g,omitempty"`
	Process string `json:"p,omitempty"`
}

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.Key, other.Key), strings.Compare(p.Host, other.Host),
		strings.Compare(p.Group, other.Group), strings.Compare(p.Process, other.Process))
}

// paginate sorts a list, which comes by name, and returns the page of a query.
func paginate[T any](page Page[T], list []T, q *Query, placeOf func(T) place) (Page[T], error) {
	page.Total = len(list)
	if cmp.Or(q.Sort, SortName) != SortName {
		slices.SortStableFunc(list, func(a, b T) int { return placeOf(a).compare(placeOf(b)) })
	}

	if q.Token != "" {
		var after place
		text, err := base64.RawURLEncoding.DecodeString(q.Token)
		if err != nil || json.Unmarshal(text, &after) != nil || after.Query != q.mark() {
			return page, ErrToken
		}
		i, found := slices.BinarySearchFunc(list, after,
			func(item T, at place) int { return placeOf(item).compare(at) })
		if found {
			i++
		}
		list = list[i:]
	}

	page.Items = list[:min(len(list), cmp.Or(q.Limit, DefaultLimit))]
	if len(page.Items) < len(list) {
		last := placeOf(page.Items[len(page.Items)-1])
		last.Query = q.mark()
		text, err := json.Marshal(last)
		if err != nil {
			return page, err
		}
		page.Next = base64.RawURLEncoding.EncodeToString(text)
	}
	return page, nil
}
