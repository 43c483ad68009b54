package codec

import (
	"encoding/base64"
	"strings"

	"supernats/schema"
	"supernats/schema/internal/fastjson"
)

// eventHead is how each message begins.
const eventHead = `{"specversion":"` + schema.SpecVersion + `","id":`

// scannedEvent is all of an event but its texts, so that it is allocated at once. What
// only the end of a process has, its last look and a lack of memory, is not in it.
type scannedEvent struct {
	envelope schema.CloudEvent[*schema.Event]
	event    schema.Event
	exit     schema.Exit

	// The values that fields of event and exit point to.
	expected bool
	tries    int
	when     int64
	code     int
	ran      float64
}

// scanEvent reads what AppendJSON writes as encoding/json would, or returns false:
// for anything else, the same fields in another order or with white space, and for what
// is wrong, so that the errors are those of encoding/json. The texts are parts of one
// copy of the payload, but for those of a few values, which are our own.
func scanEvent(payload []byte) (*schema.CloudEvent[*schema.Event], bool) {
	if len(payload) < len(eventHead) || string(payload[:len(eventHead)]) != eventHead {
		return nil, false
	}

	c := fastjson.NewScanner(payload)
	d := &scannedEvent{}
	d.scanEnvelope(&c)
	d.scanSource(&c)
	d.scanProcess(&c)
	if !c.IsAt('}') { // most changes of state have no more
		d.scanContent(&c)
		d.scanEnd(&c)
		d.scanRest(&c)
	}
	c.Must(`}}`)

	return &d.envelope, c.AtEnd() && d.envelope.ID != "" && d.envelope.Type != ""
}

// scanEnvelope reads the attributes of the CloudEvent.
func (d *scannedEvent) scanEnvelope(c *fastjson.Scanner) {
	ce := &d.envelope
	ce.SpecVersion = schema.SpecVersion
	ce.DataContentType = schema.DataContentType
	ce.DataSchema = schema.SchemaEvent
	ce.Data = &d.event

	c.Must(eventHead)
	ce.ID = c.Text()
	c.Must(`,"source":`)
	ce.Source = c.Text()
	c.Must(`,"type":`)
	ce.Type = c.Text()
	if c.Has(`,"subject":`) {
		ce.Subject = c.Text()
	}
	c.Must(`,"time":`)
	ce.Time = schema.Time{Time: c.Time()}
	c.Must(`,"datacontenttype":"` + schema.DataContentType + `","dataschema":"` + schema.SchemaEvent + `","data":`)
}

// scanSource reads what appendSource writes, and so do the ones after it.
func (d *scannedEvent) scanSource(c *fastjson.Scanner) {
	e := &d.event
	c.Must(`{"event":`)
	e.Event = ownName(c.Text())
	c.Must(`,"host":`)
	e.Host = c.Text()
	c.Must(`,"server":`)
	e.Server = c.Text()
	c.Must(`,"boot":`)
	e.Boot = c.Text()
	c.Must(`,"serial":`)
	e.Serial = c.Uint()

	c.Must(`,"pool":`)
	e.Pool = c.Text()
	c.Must(`,"poolserial":`)
	e.PoolSerial = c.Uint()
}

func (d *scannedEvent) scanProcess(c *fastjson.Scanner) {
	e := &d.event
	if c.Has(`,"group":`) {
		e.Group = c.Text()
	}
	if c.Has(`,"process":`) {
		e.Process = c.Text()
	}
	if c.Has(`,"from_state":`) {
		e.FromState = ownName(c.Text())
	}

	if c.Has(`,"expected":`) {
		d.expected = c.Bool()
		e.Expected = &d.expected
	}
	if c.Has(`,"pid":`) {
		e.PID = c.Int()
	}
	if c.Has(`,"tries":`) {
		d.tries = c.Int()
		e.Tries = &d.tries
	}
}

func (d *scannedEvent) scanContent(c *fastjson.Scanner) {
	e := &d.event
	if c.Has(`,"channel":`) {
		e.Channel = c.Text()
	}
	if c.Has(`,"type":`) {
		e.Type = c.Text()
	}
	if c.Has(`,"when":`) {
		d.when = c.Int64()
		e.When = &d.when
	}

	if c.Has(`,"data":`) {
		e.Data = new(c.Text())
	}
	if c.Has(`,"data_base64":`) {
		data, err := base64.StdEncoding.DecodeString(c.Text())
		if err != nil {
			c.Refuse()
		}
		e.DataBase64 = data
	}
}

func (d *scannedEvent) scanEnd(c *fastjson.Scanner) {
	e := &d.event
	if c.Has(`,"exit":`) {
		e.Exit = &d.exit
		d.scanExit(c)
	}
	if c.Has(`,"log":`) {
		e.Log = &schema.Log{}
		scanLog(c, e.Log)
	}
	if c.Has(`,"ran":`) {
		d.ran = c.Float()
		e.Ran = &d.ran
	}
	if c.Has(`,"last":`) {
		e.Last = &schema.Look{}
		scanLook(c, e.Last)
	}
}

func (d *scannedEvent) scanRest(c *fastjson.Scanner) {
	e := &d.event
	if c.Has(`,"part":`) {
		e.Part = c.Int()
	}
	if c.Has(`,"parts":`) {
		e.Parts = c.Int()
	}
	if !c.Has(`,"extra":`) {
		return
	}

	e.Extra = map[string]string{}
	c.Open()
	for key, ok := c.NextKey(); ok; key, ok = c.NextKey() {
		e.Extra[key] = c.Text()
	}
	c.Must(`}`)
}

func (d *scannedEvent) scanExit(c *fastjson.Scanner) {
	x := &d.exit
	c.Open()
	if c.Next(`"code":`) {
		d.code = c.Int()
		x.Code = &d.code
	}
	if c.Next(`"signal":`) {
		x.Signal = c.Text()
	}
	if c.Next(`"core":`) {
		x.Core = c.Bool()
	}

	if c.Next(`"spawnerr":`) {
		x.SpawnErr = c.Text()
	}
	if c.Next(`"source":`) {
		x.Source = c.Text()
	}
	if c.Next(`"oom":`) {
		x.OOM = &schema.OOM{}
		scanOOM(c, x.OOM)
	}
	c.Must(`}`)
}

func scanOOM(c *fastjson.Scanner, o *schema.OOM) {
	c.Must(`{"cgroup":`)
	o.Cgroup = c.Text()
	if c.Has(`,"limit":`) {
		o.Limit = c.Uint()
	}
	if c.Has(`,"peak":`) {
		o.Peak = c.Uint()
	}
	c.Must(`}`)
}

func scanLog(c *fastjson.Scanner, l *schema.Log) {
	c.Open()
	if c.Next(`"stdout":`) {
		l.Stdout = c.Text()
	}
	if c.Next(`"stderr":`) {
		l.Stderr = c.Text()
	}
	c.Must(`}`)
}

func scanLook(c *fastjson.Scanner, l *schema.Look) {
	c.Must(`{"time":`)
	l.Time = schema.Time{Time: c.Time()}
	if c.Has(`,"rss_bytes":`) {
		l.RSS = c.Uint()
	}
	if c.Has(`,"rss_peak_bytes":`) {
		l.PeakRSS = c.Uint()
	}
	if c.Has(`,"cpu_seconds":`) {
		l.CPU = c.Float()
	}

	if c.Has(`,"threads":`) {
		l.Threads = c.Int()
	}
	if c.Has(`,"fds":`) {
		l.Descriptors = c.Int()
	}
	if c.Has(`,"age_seconds":`) {
		l.Age = c.Float()
	}
	c.Must(`}`)
}

// ownName returns our own text for a name that many events have, so that a record which
// keeps the name does not keep the payload.
func ownName(s string) string {
	if name, ok := ownNames[s]; ok {
		return name
	}
	return s
}

var ownNames = func() map[string]string {
	names := map[string]string{}
	for _, n := range schema.Names() {
		names[n] = n
		if state, ok := strings.CutPrefix(n, "PROCESS_STATE_"); ok {
			names[state] = state
		}
	}
	return names
}()
