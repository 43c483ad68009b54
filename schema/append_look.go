package schema

import (
	"bytes"
	"math"
	"strconv"
)

// append follows the fields of OOM in their order.
func (o *OOM) append(b []byte) []byte {
	b = appendString(append(b, `{"cgroup":`...), o.Cgroup)
	b = appendCount(b, `,"limit":`, o.Limit)
	b = appendCount(b, `,"peak":`, o.Peak)
	return append(b, '}')
}

// append follows the fields of Look in their order.
func (l *Look) append(b []byte) []byte {
	b = appendTime(append(b, `{"time":`...), l.Time.Time)
	b = appendCount(b, `,"rss_bytes":`, l.RSS)
	b = appendCount(b, `,"rss_peak_bytes":`, l.PeakRSS)
	if l.CPU != 0 {
		b = appendFloat(append(b, `,"cpu_seconds":`...), l.CPU)
	}
	if l.Threads != 0 {
		b = strconv.AppendInt(append(b, `,"threads":`...), int64(l.Threads), 10)
	}
	if l.Descriptors != 0 {
		b = strconv.AppendInt(append(b, `,"fds":`...), int64(l.Descriptors), 10)
	}
	if l.Age != 0 {
		b = appendFloat(append(b, `,"age_seconds":`...), l.Age)
	}
	return append(b, '}')
}

// appendCount appends a field unless it is 0; name has its comma and colon.
func appendCount(b []byte, name string, value uint64) []byte {
	if value == 0 {
		return b
	}
	return strconv.AppendUint(append(b, name...), value, 10)
}

// appendFloat appends a number as encoding/json writes it. JSON has none that is not
// finite: for these a 0 is written, because an event must not be lost over one.
func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, '0')
	}
	size := math.Abs(f)
	if size == 0 || size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}

	start := len(b)
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if i := bytes.Index(b[start:], []byte("e-0")); i >= 0 { // e-09 is e-9
		i += start + len("e-")
		b = append(b[:i], b[i+1:]...)
	}
	return b
}
