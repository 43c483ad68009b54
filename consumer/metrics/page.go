package metrics

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"supernats/consumer/fleet"
)

const (
	// pageSize is how much is written at once, pageSpare what a line may need beyond it.
	pageSize  = 64 << 10
	pageSpare = 4 << 10
)

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, pageSize+pageSpare)
	return &b
}}

// page writes an exposition through a bounded buffer. After an error it writes nothing.
type page struct {
	out    io.Writer
	format expfmt.Format
	buffer *[]byte
	b      []byte
	err    error
}

func newPage(out io.Writer, format expfmt.Format) *page {
	buffer := buffers.Get().(*[]byte)
	return &page{out: out, format: format, buffer: buffer, b: (*buffer)[:0]}
}

// release gives the buffer back. Nothing may be written after it.
func (p *page) release() {
	if cap(p.b) <= 2*pageSize {
		*p.buffer = p.b[:0]
	}
	buffers.Put(p.buffer)
}

// close ends the exposition, and returns the first error.
func (p *page) close() error {
	if p.isOpenMetrics() {
		p.b = append(p.b, "# EOF\n"...)
	}
	p.flush()
	return p.err
}

func (p *page) isOpenMetrics() bool { return p.format.FormatType() == expfmt.TypeOpenMetrics }

func (p *page) flush() {
	if p.err == nil && len(p.b) > 0 {
		_, p.err = p.out.Write(p.b)
	}
	p.b = p.b[:0]
}

// Write implements io.Writer, for what others write into the page.
func (p *page) Write(text []byte) (int, error) {
	p.b = append(p.b, text...)
	if len(p.b) >= pageSize {
		p.flush()
	}
	return len(text), p.err
}

// gather writes the metrics of a registry.
func (p *page) gather(from prometheus.Gatherer) {
	families, err := from.Gather()
	if err != nil && p.err == nil {
		p.err = err
	}
	if p.isOpenMetrics() {
		avoidClashes(families)
	}
	encoder := expfmt.NewEncoder(p, p.format)
	for _, f := range families {
		if err := encoder.Encode(f); err != nil && p.err == nil {
			p.err = err
		}
	}
}

// avoidClashes makes no counter of x_total where x is another metric: without its _total the
// counter would have that name (go_memstats_alloc_bytes).
func avoidClashes(families []*dto.MetricFamily) {
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
	}
	for _, f := range families {
		name, isTotal := strings.CutSuffix(f.GetName(), "_total")
		if !isTotal || !names[name] || f.GetType() != dto.MetricType_COUNTER {
			continue
		}
		f.Type = dto.MetricType_UNTYPED.Enum()
		for _, m := range f.Metric {
			m.Untyped = &dto.Untyped{Value: m.GetCounter().Value}
			m.Counter = nil
		}
	}
}

// begin writes what comes before the samples of a family, and returns their name.
func (p *page) begin(name, kind, help string, bare, odd bool) (sample string) {
	sample = name
	if kind == counter && !bare && !odd {
		sample += "_total"
	}
	if !p.isOpenMetrics() {
		name = sample
	} else if odd {
		kind = "unknown"
	}
	p.b = append(p.b, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
	return sample
}

func (p *page) writeHosts(f *family[*fleet.Host], hosts []hostLabels) {
	sample := p.begin(f.name, f.kind, f.help, f.bare, f.odd)
	for _, s := range f.series {
		for i := range hosts {
			if value, known := s.value(hosts[i].host); known {
				p.b = append(append(p.b, sample...), hosts[i].head...)
				p.end(s.labels, value)
			}
		}
	}
}

// writeProcesses writes a family. A count of a process that appeared after newSince is 0.
func (p *page) writeProcesses(f *family[*fleet.Process], hosts []hostLabels, newSince time.Time) {
	sample := p.begin(f.name, f.kind, f.help, f.bare, f.odd)
	if f.kind != counter || f.bare || f.odd {
		newSince = never
	}
	for _, s := range f.series {
		for i := range hosts {
			if p.err != nil {
				return
			}
			p.writeHost(sample, &s, &hosts[i], newSince)
		}
	}
}

// never is after all that happens.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// writeHost writes the samples of the processes of a host.
func (p *page) writeHost(sample string, s *series[*fleet.Process], of *hostLabels, newSince time.Time) {
	begin := uint32(0)
	for i, process := range of.host.Processes {
		labels := of.labels[begin:of.ends[i]]
		begin = of.ends[i]
		if !isExported(process) {
			continue
		}
		if value, known := s.value(process); known {
			if process.Appeared.After(newSince) {
				value = 0
			}
			p.b = append(append(p.b, sample...), labels...)
			p.end(s.labels, value)
		}
	}
}

// end writes the rest of a sample.
func (p *page) end(labels string, value float64) {
	p.b = append(append(p.b, labels...), "} "...)
	if whole := int64(value); float64(whole) == value && whole > -1<<53 && whole < 1<<53 {
		p.b = strconv.AppendInt(p.b, whole, 10)
	} else {
		p.b = strconv.AppendFloat(p.b, value, 'f', -1, 64)
	}
	p.b = append(p.b, '\n')
	if len(p.b) >= pageSize {
		p.flush()
	}
}
