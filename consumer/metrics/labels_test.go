package metrics

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

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

// A process that is new has its counters at 0 at the first scrape, whatever it has done, so that
// Prometheus sees an increase. Nobody else's counters fall.
func TestTheFirstCrashOfANewProcess(t *testing.T) {
	appeared := func(p *fleet.Process, ago time.Duration) *fleet.Process {
		p.Appeared = noon.Add(-ago)
		return p
	}
	d := newDaemon(host("web1", appeared(crashed("a", 7), time.Hour), appeared(crashed("b", 1), time.Second),
		appeared(crashed("c", 2), maxHold), crashed("d", 3)))
	for _, c := range []struct {
		what  string
		later time.Duration
		want  []string
	}{
		{what: "b is new", want: []string{"web1 a 7", "web1 b 0", "web1 c 2", "web1 d 3"}},
		{what: "and was seen", later: time.Second, want: []string{"web1 a 7", "web1 b 1", "web1 c 2", "web1 d 3"}},
	} {
		next := *d.snapshot
		next.Now = next.Now.Add(c.later)
		d.snapshot = &next
		if d := cmp.Diff(c.want, d.crashes(t, "/metrics")); d != "" {
			t.Errorf("%s: %s", c.what, d)
		}
	}
	d.snapshot.Hosts[0].Processes[1].Appeared = d.snapshot.Now
	_, body := d.get(t, "/metrics", "")
	if !strings.Contains(body, `supervisord_up{host="web1",group="api",name="b"} 1`) {
		t.Error("what is no counter is held as well")
	}
}

// Who asks by hand sees the first crash of a new process at once, however it has asked before,
// and what Prometheus gets stays the same.
func TestCountersByHand(t *testing.T) {
	d := newDaemon(host("web1", crashed("new", 1)))
	d.snapshot.Hosts[0].Processes[0].Appeared = noon.Time
	for range 2 {
		_, body := d.answer(t, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		const want = `supervisord_process_exits_total{host="web1",group="api",name="new",expected="false"} 1`
		if !slices.Contains(samples(body, "supervisord_process_exits_total"), want) {
			t.Errorf("want %s, got\n%s", want, body)
		}
		if got := d.crashes(t, "/metrics"); !slices.Equal(got, []string{"web1 new 0"}) {
			t.Errorf("Prometheus gets %q", got)
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
