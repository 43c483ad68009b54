package schema

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends what Marshal(e.Envelope(read)) returns, byte for byte, in a
// tenth of its time: an event is encoded on the machine that it happened on, next
// to the programs that it is about.
func (e *Event) AppendJSON(b []byte, read time.Time) []byte {
	family, kind := Tail(e.Event, e.Type)
	b = append(b, `{"specversion":"`+specVersion+`","id":`...)
	b = appendString(b, e.ID())
	b = append(b, `,"source":"/supervisor/`...)
	b = append(append(append(b, url.PathEscape(e.Host)...), '/'), url.PathEscape(e.Server)...) // nothing to escape in JSON
	b = append(b, '"')
	b = append(b, `,"type":"`+eventTypePrefix...)
	b = append(append(append(b, family...), '.'), kind...) // tokens: nothing to escape
	b = append(b, '"')
	b = appendField(b, `,"subject":`, processSubject(e.Group, e.Process))
	b = append(b, `,"time":`...)
	b = appendTime(b, read)
	b = append(b, `,"datacontenttype":"`+dataContentTypeJSON+`","dataschema":"`+schemaEvent+`","data":`...)
	b = e.appendData(b)
	return append(b, '}')
}

// appendData follows the fields of Event in their order.
func (e *Event) appendData(b []byte) []byte {
	b = append(b, `{"event":`...)
	b = appendString(b, e.Event)
	b = append(b, `,"host":`...)
	b = appendString(b, e.Host)
	b = append(b, `,"server":`...)
	b = appendString(b, e.Server)
	b = append(b, `,"boot":`...)
	b = appendString(b, e.Boot)
	b = append(b, `,"serial":`...)
	b = strconv.AppendUint(b, e.Serial, 10)
	b = append(b, `,"pool":`...)
	b = appendString(b, e.Pool)
	b = append(b, `,"poolserial":`...)
	b = strconv.AppendUint(b, e.PoolSerial, 10)
	b = appendField(b, `,"group":`, e.Group)
	b = appendField(b, `,"process":`, e.Process)
	b = appendField(b, `,"from_state":`, e.FromState)
	if e.Expected != nil {
		b = append(b, `,"expected":`...)
		b = strconv.AppendBool(b, *e.Expected)
	}
	if e.PID != 0 {
		b = append(b, `,"pid":`...)
		b = strconv.AppendInt(b, int64(e.PID), 10)
	}
	if e.Tries != nil {
		b = append(b, `,"tries":`...)
		b = strconv.AppendInt(b, int64(*e.Tries), 10)
	}
	b = appendField(b, `,"channel":`, e.Channel)
	b = appendField(b, `,"type":`, e.Type)
	if e.When != nil {
		b = append(b, `,"when":`...)
		b = strconv.AppendInt(b, *e.When, 10)
	}
	if e.Data != nil {
		b = append(b, `,"data":`...)
		b = appendString(b, *e.Data)
	}
	if len(e.DataBase64) > 0 {
		b = append(b, `,"data_base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, e.DataBase64)
		b = append(b, '"')
	}
	if e.Exit != nil {
		b = append(b, `,"exit":`...)
		b = e.Exit.append(b)
	}
	if e.Log != nil {
		b = append(b, `,"log":{`...)
		start := len(b)
		b = appendField(b, `,"stdout":`, e.Log.Stdout)
		b = appendField(b, `,"stderr":`, e.Log.Stderr)
		b = append(dropComma(b, start), '}')
	}
	if e.Ran != nil {
		b = appendFloat(append(b, `,"ran":`...), *e.Ran)
	}
	if e.Last != nil {
		b = e.Last.append(append(b, `,"last":`...))
	}
	if e.Part != 0 {
		b = append(b, `,"part":`...)
		b = strconv.AppendInt(b, int64(e.Part), 10)
	}
	if e.Parts != 0 {
		b = append(b, `,"parts":`...)
		b = strconv.AppendInt(b, int64(e.Parts), 10)
	}
	if len(e.Extra) > 0 {
		b = append(b, `,"extra":{`...)
		keys := make([]string, 0, len(e.Extra))
		for k := range e.Extra {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = appendString(b, e.Extra[k])
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

func (x *Exit) append(b []byte) []byte {
	b = append(b, '{')
	start := len(b)
	if x.Code != nil {
		b = append(b, `,"code":`...)
		b = strconv.AppendInt(b, int64(*x.Code), 10)
	}
	b = appendField(b, `,"signal":`, x.Signal)
	if x.Core {
		b = append(b, `,"core":true`...)
	}
	b = appendField(b, `,"spawnerr":`, x.SpawnErr)
	b = appendField(b, `,"source":`, x.Source)
	if x.OOM != nil {
		b = x.OOM.append(append(b, `,"oom":`...))
	}
	return append(dropComma(b, start), '}')
}

// dropComma removes the comma before the first field of an object.
func dropComma(b []byte, start int) []byte {
	if len(b) == start {
		return b
	}
	return slices.Delete(b, start, start+1)
}

// appendField appends a field unless it is empty; name has its comma and colon.
func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, name...), value)
}

const lowerHex = "0123456789abcdef"

// appendString appends a JSON string as encoding/json writes it without HTML
// escapes.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\b':
				b = append(b, '\\', 'b')
			case '\f':
				b = append(b, '\\', 'f')
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029': // no line terminators in JavaScript
			b = append(append(b, s[start:i]...), '\\', 'u', '2', '0', '2', lowerHex[r&15])
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}
