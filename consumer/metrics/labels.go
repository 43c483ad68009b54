package metrics

import (
	"cmp"
	"strings"
	"sync"

	"supernats/consumer/fleet"
	"supernats/consumer/state"
	"supernats/schema"
)

// hostLabels are a host with the labels of its processes, as they are written.
type hostLabels struct {
	host *fleet.Host
	// head is `{host="web1"`; labels are those of the processes one after the other, each
	// `{host="web1",group="api",name="api_00"`, and ends where each of them ends. Both are
	// shared with older ones: they do not change as long as the processes are the same.
	head   string
	labels []byte
	ends   []uint32
}

// labelCache keeps the labels of the last snapshot that was scraped.
type labelCache struct {
	mu       sync.Mutex
	snapshot *fleet.Snapshot // nil: none
	hosts    []hostLabels
}

// reset forgets what was scraped: meanwhile another instance exports the fleet.
func (c *labelCache) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snapshot, c.hosts = nil, nil
}

// of returns the labels of a snapshot, which the caller must not change.
func (c *labelCache) of(s *fleet.Snapshot) []hostLabels {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.snapshot == s {
		return c.hosts
	}

	// Both lists are sorted by name.
	old := c.hosts
	hosts := make([]hostLabels, len(s.Hosts))
	for i, h := range s.Hosts {
		for len(old) > 0 && old[0].host.Name() < h.Name() {
			old = old[1:]
		}
		if len(old) > 0 && old[0].fits(h) {
			hosts[i] = old[0]
			hosts[i].host = h
		} else {
			hosts[i] = labelsOf(h)
		}
	}
	c.snapshot, c.hosts = s, hosts
	return hosts
}

// compare orders processes as a host does.
func compare(p, q *fleet.Process) int {
	return cmp.Or(strings.Compare(p.Group, q.Group), strings.Compare(p.ProcessRecord.Process, q.ProcessRecord.Process))
}

// fits reports whether the labels are those of a host.
func (l *hostLabels) fits(h *fleet.Host) bool {
	if l.host == h {
		return true
	}
	if l.host.Name() != h.Name() || len(l.host.Processes) != len(h.Processes) {
		return false
	}
	for i, p := range h.Processes {
		if q := l.host.Processes[i]; p != q && compare(p, q) != 0 {
			return false
		}
	}
	return true
}

// labelsOf writes the labels of a host.
func labelsOf(h *fleet.Host) hostLabels {
	l := hostLabels{host: h, head: `{host="` + escape(h.Name()) + `"`}
	l.ends = make([]uint32, len(h.Processes))
	for i, p := range h.Processes {
		l.labels = append(l.labels, l.head...)
		l.labels = append(l.labels, `,group="`...)
		l.labels = append(l.labels, escape(p.Group)...)
		l.labels = append(l.labels, `",name="`...)
		l.labels = append(l.labels, escape(p.ProcessRecord.Process)...)
		l.labels = append(l.labels, '"')
		l.ends[i] = uint32(len(l.labels))
	}
	return l
}

// escape is what both formats ask for in the value of a label. Names from JSON are UTF-8.
func escape(value string) string { return labelEscaper.Replace(value) }

var labelEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// isExported reports whether there are series of a process: not once its supervisord does
// not have it any more, and not of a section that nobody has needed.
func isExported(p *fleet.Process) bool {
	return p.Gone == nil && !state.IsUnneeded(&p.ProcessRecord)
}

// selectHosts returns the hosts that one of the globs matches, all without any. It is not
// nil.
func selectHosts(all []hostLabels, globs []string) []hostLabels {
	if len(globs) == 0 {
		return all
	}
	some := []hostLabels{}
	for i := range all {
		if schema.MatchAny(globs, all[i].host.Name()) {
			some = append(some, all[i])
		}
	}
	return some
}
