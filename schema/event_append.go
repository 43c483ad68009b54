package schema

import (
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"supernats/schema/internal/fastjson"
)

// AppendJSON appends what Marshal(e.Envelope(read)) returns, byte for byte, in a
// tenth of its time: an event is encoded on the machine that it happened on, next
// to the programs that it is about.
func (e *Event) AppendJSON(b []byte, read time.Time) []byte {
	family, kind := Tail(e.Event, e.Type)
	b = append(b, `{"specversion":"`+specVersion+`","id":`...)
	b = fastjson.AppendString(b, e.ID())

	// Escaped paths and tokens have nothing that JSON escapes.
	b = append(b, `,"source":"/supervisor/`...)
	b = append(append(append(b, url.PathEscape(e.Host)...), '/'), url.PathEscape(e.Server)...)
	b = append(b, `","type":"`+eventTypePrefix...)
	b = append(append(append(b, family...), '.'), kind...)
	b = append(b, '"')

	b = fastjson.AppendField(b, `,"subject":`, processSubject(e.Group, e.Process))
	b = append(b, `,"time":`...)
	b = fastjson.AppendTime(b, read)
	b = append(b, `,"datacontenttype":"`+dataContentTypeJSON+`","dataschema":"`+schemaEvent+`","data":`...)

	// The fields of Event in their order.
	b = e.appendSource(b)
	b = e.appendProcess(b)
	b = e.appendContent(b)
	b = e.appendEnd(b)
	b = e.appendRest(b)
	return append(b, `}}`...)
}

// appendSource appends what every event has.
func (e *Event) appendSource(b []byte) []byte {
	b = append(b, `{"event":`...)
	b = fastjson.AppendString(b, e.Event)
	b = append(b, `,"host":`...)
	b = fastjson.AppendString(b, e.Host)
	b = append(b, `,"server":`...)
	b = fastjson.AppendString(b, e.Server)
	b = append(b, `,"boot":`...)
	b = fastjson.AppendString(b, e.Boot)
	b = append(b, `,"serial":`...)
	b = strconv.AppendUint(b, e.Serial, 10)

	b = append(b, `,"pool":`...)
	b = fastjson.AppendString(b, e.Pool)
	b = append(b, `,"poolserial":`...)
	return strconv.AppendUint(b, e.PoolSerial, 10)
}

// appendProcess appends whose event it is, and what supervisord says of its state.
func (e *Event) appendProcess(b []byte) []byte {
	b = fastjson.AppendField(b, `,"group":`, e.Group)
	b = fastjson.AppendField(b, `,"process":`, e.Process)
	b = fastjson.AppendField(b, `,"from_state":`, e.FromState)
	if e.Expected != nil {
		b = strconv.AppendBool(append(b, `,"expected":`...), *e.Expected)
	}
	b = fastjson.AppendInt(b, `,"pid":`, e.PID)
	if e.Tries != nil {
		b = strconv.AppendInt(append(b, `,"tries":`...), int64(*e.Tries), 10)
	}
	return b
}

// appendContent appends what an event that is no change of state brings.
func (e *Event) appendContent(b []byte) []byte {
	b = fastjson.AppendField(b, `,"channel":`, e.Channel)
	b = fastjson.AppendField(b, `,"type":`, e.Type)
	if e.When != nil {
		b = strconv.AppendInt(append(b, `,"when":`...), *e.When, 10)
	}
	if e.Data != nil {
		b = fastjson.AppendString(append(b, `,"data":`...), *e.Data)
	}
	if len(e.DataBase64) > 0 {
		b = append(b, `,"data_base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, e.DataBase64)
		b = append(b, '"')
	}
	return b
}

// appendEnd appends what is known of the end of a process.
func (e *Event) appendEnd(b []byte) []byte {
	if e.Exit != nil {
		b = e.Exit.append(append(b, `,"exit":`...))
	}
	if e.Log != nil {
		b = e.Log.append(append(b, `,"log":`...))
	}
	if e.Ran != nil {
		b = fastjson.AppendFloat(append(b, `,"ran":`...), *e.Ran)
	}
	if e.Last != nil {
		b = e.Last.append(append(b, `,"last":`...))
	}
	return b
}

// appendRest appends which part of an event it is, and what is not known here.
func (e *Event) appendRest(b []byte) []byte {
	b = fastjson.AppendInt(b, `,"part":`, e.Part)
	b = fastjson.AppendInt(b, `,"parts":`, e.Parts)
	if len(e.Extra) == 0 {
		return b
	}

	b = append(b, `,"extra":{`...)
	start := len(b)
	for _, key := range slices.Sorted(maps.Keys(e.Extra)) {
		b = append(fastjson.AppendString(append(b, ','), key), ':')
		b = fastjson.AppendString(b, e.Extra[key])
	}
	return append(fastjson.DropComma(b, start), '}')
}

// append follows the fields of Exit in their order.
func (x *Exit) append(b []byte) []byte {
	b = append(b, '{')
	start := len(b)
	if x.Code != nil {
		b = strconv.AppendInt(append(b, `,"code":`...), int64(*x.Code), 10)
	}
	b = fastjson.AppendField(b, `,"signal":`, x.Signal)
	if x.Core {
		b = append(b, `,"core":true`...)
	}
	b = fastjson.AppendField(b, `,"spawnerr":`, x.SpawnErr)
	b = fastjson.AppendField(b, `,"source":`, x.Source)
	if x.OOM != nil {
		b = x.OOM.append(append(b, `,"oom":`...))
	}
	return append(fastjson.DropComma(b, start), '}')
}

// append follows the fields of OOM in their order.
func (o *OOM) append(b []byte) []byte {
	b = fastjson.AppendString(append(b, `{"cgroup":`...), o.Cgroup)
	b = fastjson.AppendCount(b, `,"limit":`, o.Limit)
	b = fastjson.AppendCount(b, `,"peak":`, o.Peak)
	return append(b, '}')
}

// append follows the fields of Log in their order.
func (l *Log) append(b []byte) []byte {
	b = append(b, '{')
	start := len(b)
	b = fastjson.AppendField(b, `,"stdout":`, l.Stdout)
	b = fastjson.AppendField(b, `,"stderr":`, l.Stderr)
	return append(fastjson.DropComma(b, start), '}')
}

// append follows the fields of Look in their order.
func (l *Look) append(b []byte) []byte {
	b = fastjson.AppendTime(append(b, `{"time":`...), l.Time.Time)
	b = fastjson.AppendCount(b, `,"rss_bytes":`, l.RSS)
	b = fastjson.AppendCount(b, `,"rss_peak_bytes":`, l.PeakRSS)
	if l.CPU != 0 {
		b = fastjson.AppendFloat(append(b, `,"cpu_seconds":`...), l.CPU)
	}
	b = fastjson.AppendInt(b, `,"threads":`, l.Threads)
	b = fastjson.AppendInt(b, `,"fds":`, l.Descriptors)
	if l.Age != 0 {
		b = fastjson.AppendFloat(append(b, `,"age_seconds":`...), l.Age)
	}
	return append(b, '}')
}
