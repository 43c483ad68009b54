package fleet

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"supernats/schema"
)

// threeHosts is a fleet with something wrong on one host.
func threeHosts() *Snapshot {
	f := newFixture()
	for _, name := range []string{"web1", "web2", "db1"} {
		f.put(host(name, noon))
		for i := range 3 {
			f.put(process(name, "api", fmt.Sprintf("api_%02d", i), schema.StateRunning))
		}
	}
	f.put(process("web2", "api", "api_01", schema.StateFatal))
	return f.snapshot(noon)
}

func ids(list []*Process) string {
	var names []string
	for _, p := range list {
		names = append(names, p.Host+"/"+p.ProcessRecord.Process)
	}
	return strings.Join(names, " ")
}

func TestQueriesOfProcesses(t *testing.T) {
	s := threeHosts()
	for _, c := range []struct {
		name  string
		query Query
		want  string
		total int
	}{
		{name: "a glob of hosts", query: Query{Hosts: []string{"web1"}}, want: "web1/api_00 web1/api_01 web1/api_02", total: 3},
		{name: "a state", query: Query{States: []string{"fatal"}}, want: "web2/api_01", total: 1},
		{name: "down", query: Query{States: []string{"Down"}}, want: "web2/api_01", total: 1},
		{name: "a text", query: Query{Text: "DB1 API:api_02"}, want: "db1/api_02", total: 1},
		{name: "the worst first", query: Query{Sort: SortWorst, Limit: 2}, want: "web2/api_01 db1/api_00", total: 9},
		{name: "nothing", query: Query{Hosts: []string{"mail*"}}},
	} {
		page, err := s.Processes(&c.query)
		if err != nil || ids(page.Items) != c.want || page.Total != c.total || page.Of != 9 {
			t.Errorf("%s: %q of %d (%d), %v; want %q of %d", c.name, ids(page.Items), page.Total, page.Of, err, c.want, c.total)
		}
	}
}

// Pages follow each other without gap or repetition in every order, even while what was
// last on a page vanishes.
func TestPagesFollowEachOther(t *testing.T) {
	s := threeHosts()
	for _, sort := range append(Sorts(), "") {
		var got []string
		q := Query{Sort: sort, Limit: 2}
		for {
			page, err := s.Processes(&q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ids(page.Items))
			if q.Token = page.Next; q.Token == "" {
				break
			}
		}
		all, err := s.Processes(&Query{Sort: sort})
		if err != nil || strings.Join(got, " ") != ids(all.Items) || len(got) != 5 {
			t.Errorf("%q: pages %q, all %q, %v", sort, got, ids(all.Items), err)
		}
	}
	var names []string
	q := Query{Sort: SortWorst, Limit: 1}
	for {
		page, err := s.ListHosts(&q)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, page.Items[0].Name())
		if q.Token = page.Next; q.Token == "" {
			break
		}
	}
	if strings.Join(names, " ") != "web2 db1 web1" {
		t.Errorf("hosts, the worst first: %q", names)
	}
}

func TestTokensOfOthersAreRefused(t *testing.T) {
	s := threeHosts()
	page, err := s.Processes(&Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []Query{{Token: "x"}, {Token: "e30"}, {Token: page.Next, Sort: SortWorst}} {
		if _, err := s.Processes(&q); !errors.Is(err, ErrToken) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestQueriesAreChecked(t *testing.T) {
	for _, c := range []struct {
		query Query
		want  string
	}{
		{Query{Hosts: []string{"[web"}}, "host: "},
		{Query{Sort: "age"}, `sort: invalid value "age": want worst, name, since`},
		{Query{States: []string{"dead"}}, `state: invalid value "dead": want one of backoff, down,`},
		{Query{Limit: 501}, "limit: invalid value 501: want 1 to 500"},
	} {
		if err := c.query.Check(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.query, err, c.want)
		}
	}
	if err := (&Query{Hosts: []string{"web*"}, States: []string{"FATAL", "unknown"}, Sort: SortWorst}).Check(); err != nil {
		t.Error(err)
	}
}

func TestAlertsComeInPages(t *testing.T) {
	f := newFixture()
	for i := range 7 {
		a := alert(fmt.Sprintf("rule-%d", i), []string{"critical", "warning", "info"}[i%3], "web1")
		if i == 6 {
			a.Phase = schema.PhaseResolved
		}
		f.put(a)
	}
	s := f.snapshot(noon)

	var got []string
	q := AlertQuery{Limit: 2}
	for {
		page, err := s.ListAlerts(&q)
		if err != nil || page.Total != 7 {
			t.Fatal(page.Total, err)
		}
		for _, a := range page.Items {
			got = append(got, a.Rule)
		}
		if q.Token = page.Next; q.Token == "" {
			break
		}
	}
	if want := "rule-0 rule-3 rule-1 rule-4 rule-2 rule-5 rule-6"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}

	page, err := s.ListAlerts(&AlertQuery{Severities: []string{"critical"}, Phases: []string{schema.PhaseFiring}})
	if err != nil || page.Total != 2 {
		t.Errorf("%d critical ones are firing, %v", page.Total, err)
	}
	if _, err := s.ListAlerts(&AlertQuery{Token: "e30"}); !errors.Is(err, ErrToken) {
		t.Error(err)
	}
	if err := (&AlertQuery{Phases: []string{"open"}}).Check(); err == nil {
		t.Error("a phase that there is not")
	}
}

// A token of another query would leave out what stands before its place there.
func TestTokensOfOtherQueries(t *testing.T) {
	f := newFixture()
	for _, rule := range []string{"a", "b", "c"} {
		f.put(alert(rule, "critical", "web1"))
	}
	s := f.snapshot(noon)
	first, err := s.ListAlerts(&AlertQuery{Limit: 1})
	if err != nil || first.Next == "" {
		t.Fatal(first, err)
	}
	for name, q := range map[string]*AlertQuery{
		"another filter": {Rules: []string{"[bc]"}}, "another text": {Text: "web"}, "another event": {Events: []string{"EVENT"}},
	} {
		q.Token = first.Next
		if _, err := s.ListAlerts(q); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	next, err := s.ListAlerts(&AlertQuery{Limit: 5, Token: first.Next})
	if err != nil || len(next.Items) != 2 {
		t.Errorf("the same query with another limit: %d, %v", len(next.Items), err)
	}
}
