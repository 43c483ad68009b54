package metrics

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/fleet"
	"supernats/schema"
)

// crashed returns a process that has crashed.
func crashed(name string, times uint64) *fleet.Process {
	return process(name, schema.StateRunning, func(p *fleet.Process) { p.Exits, p.UnexpectedExits = times, times })
}

// crashes scrapes how often each process has crashed: "web1 a 1".
func (d *daemon) crashes(t *testing.T, path string) (list []string) {
	t.Helper()
	_, body := d.get(t, path, "")
	for _, line := range samples(body, "supervisord_process_exits_total") {
		if part := strings.Split(line, `"`); part[7] == "false" {
			list = append(list, part[1]+" "+part[5]+part[8][1:])
		}
	}
	return list
}

// A process that crashes before its first scrape has its counters at 0 there, and so an
// increase at the second one. What was there before, or at a daemon's start, has not: it
// would count all its crashes again.
func TestTheFirstCrashOfANewProcess(t *testing.T) {
	d := newDaemon(host("web1", crashed("a", 7)))
	show := func(hosts ...*fleet.Host) {
		next := *d.snapshot
		next.Hosts = hosts
		d.snapshot = &next
	}
	for i, c := range []struct {
		what   string
		change func()
		path   string
		want   []string
	}{
		{what: "the daemon has started", want: []string{"web1 a 7"}},
		{what: "one is new", change: func() { show(host("web1", crashed("a", 7), crashed("b", 1))) }, want: []string{"web1 a 7", "web1 b 0"}},
		{what: "and is known", want: []string{"web1 a 7", "web1 b 1"}},
		{what: "and was seen again", change: func() { show(host("web1", crashed("a", 7), crashed("b", 2))) }, want: []string{"web1 a 7", "web1 b 2"}},
		{what: "a host is new", change: func() { show(host("db1", crashed("a", 1)), d.snapshot.Hosts[0]) }, path: "?host=web*", want: []string{"web1 a 7", "web1 b 2"}},
		{what: "and others were scraped before it", want: []string{"db1 a 0", "web1 a 7", "web1 b 2"}},
		{what: "and is known", want: []string{"db1 a 1", "web1 a 7", "web1 b 2"}},
		{what: "one is new", change: func() { show(host("db1", crashed("a", 1), crashed("c", 1))) }, path: "?host=web*"},
		{what: "and another one, before anybody has asked", change: func() { show(host("db1", crashed("a", 1), crashed("b", 1), crashed("c", 1))) }, want: []string{"db1 a 1", "db1 b 0", "db1 c 0"}},
		{what: "one has gone", change: func() { show(host("db1", crashed("b", 1), crashed("c", 1))) }, want: []string{"db1 b 1", "db1 c 1"}},
		{what: "another instance has taken over", change: func() { d.active = false }},
		{what: "and has exported what was new", change: func() { d.active = true; show(host("db1", crashed("d", 9))) }, want: []string{"db1 d 9"}},
	} {
		if c.change != nil {
			c.change()
		}
		if d := cmp.Diff(c.want, d.crashes(t, "/metrics"+c.path)); d != "" {
			t.Errorf("%d, %s: %s", i, c.what, d)
		}
	}
}

// Labels are kept as long as the processes of a host are the same.
func TestLabelsAreKept(t *testing.T) {
	var c labelCache
	first := &fleet.Snapshot{Hosts: crowd(3)}
	before := c.of(first)
	after := c.of(seenAgain(first))
	for i := range before {
		if &before[i].labels[0] != &after[i].labels[0] || before[i].host == after[i].host {
			t.Errorf("host %d has other labels, or is not the new one", i)
		}
	}

	changed := seenAgain(first)
	changed.Hosts = append(slices.Clone(changed.Hosts[:1]), changed.Hosts[2:]...)
	changed.Hosts[0].Processes = changed.Hosts[0].Processes[1:]
	if d := cmp.Diff(text(new(labelCache).of(changed)), text(c.of(changed))); d != "" {
		t.Error(d)
	}
}

// text returns labels as they are written.
func text(hosts []hostLabels) (list []string) {
	for i := range hosts {
		begin := uint32(0)
		for _, end := range hosts[i].ends {
			list = append(list, string(hosts[i].labels[begin:end]))
			begin = end
		}
	}
	return list
}

// A scrape makes little more garbage than the registries do, however many processes there are.
func TestAScrapeMakesNoGarbage(t *testing.T) {
	count := func(hosts int) float64 {
		d := newDaemon(crowd(hosts)...)
		scrape := func() {
			d.snapshot = seenAgain(d.snapshot)
			w, r := newScrape()
			d.serveMetrics(w, r)
		}
		scrape()
		return testing.AllocsPerRun(3, scrape) - float64(hosts) // seenAgain makes one for each
	}
	if few, many := count(10), count(1000); many > few+100 {
		t.Errorf("%v allocations for 20,000 processes, %v for 200", many, few)
	}
}
