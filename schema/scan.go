package schema

import (
	"encoding/base64"
	"strings"
)

// What Event.AppendJSON writes is read here in a small part of encoding/json's
// time: a consumer that starts reads days of events. Anything else, the same
// fields in another order or with white space, is left to encoding/json, and so is
// what is wrong: the errors are its own.

// scanned is all of an event but its strings, so that it is allocated at once; what
// only the end of a process has, its last look and a lack of memory, is not here.
type scanned struct {
	ce       CloudEvent[*Event]
	e        Event
	exit     Exit
	expected bool
	tries    int
	when     int64
	code     int
	ran      float64
}

// scanEvent returns what encoding/json would, or false. The strings are parts of
// one copy of the payload, but for those of a few values, which are our own.
func scanEvent(payload []byte) (*CloudEvent[*Event], bool) {
	const head = `{"specversion":"` + specVersion + `","id":`
	if len(payload) < len(head) || string(payload[:len(head)]) != head {
		return nil, false
	}
	c := scanner{b: payload, s: string(payload), i: len(head)}
	d := &scanned{}
	ce := &d.ce
	ce.SpecVersion, ce.DataContentType, ce.DataSchema, ce.Data = specVersion, dataContentTypeJSON, schemaEvent, &d.e
	ce.ID = c.text()
	c.must(`,"source":`)
	ce.Source = c.text()
	c.must(`,"type":`)
	ce.Type = c.text()
	if c.has(`,"subject":`) {
		ce.Subject = c.text()
	}
	c.must(`,"time":`)
	ce.Time = c.time()
	c.must(`,"datacontenttype":"` + dataContentTypeJSON + `","dataschema":"` + schemaEvent + `","data":`)
	c.event(d)
	c.must(`}`)
	return ce, !c.bad && c.i == len(c.b) && ce.ID != "" && ce.Type != ""
}

// event follows the fields of Event in their order, as Event.appendData does.
func (c *scanner) event(d *scanned) {
	e := &d.e
	c.must(`{"event":`)
	e.Event = own(c.text())
	c.must(`,"host":`)
	e.Host = c.text()
	c.must(`,"server":`)
	e.Server = c.text()
	c.must(`,"boot":`)
	e.Boot = c.text()
	c.must(`,"serial":`)
	e.Serial = c.uint()
	c.must(`,"pool":`)
	e.Pool = c.text()
	c.must(`,"poolserial":`)
	e.PoolSerial = c.uint()
	if c.has(`,"group":`) {
		e.Group = c.text()
	}
	if c.has(`,"process":`) {
		e.Process = c.text()
	}
	if c.has(`,"from_state":`) {
		e.FromState = own(c.text())
	}
	if c.has(`,"expected":`) {
		d.expected = c.bool()
		e.Expected = &d.expected
	}
	if c.has(`,"pid":`) {
		e.PID = c.int()
	}
	if c.has(`,"tries":`) {
		d.tries = c.int()
		e.Tries = &d.tries
	}
	c.rare(d)
	c.must(`}`)
}

// rare follows the fields that most changes of state do not have.
func (c *scanner) rare(d *scanned) {
	e := &d.e
	if c.has(`}`) {
		c.i--
		return
	}
	if c.has(`,"channel":`) {
		e.Channel = c.text()
	}
	if c.has(`,"type":`) {
		e.Type = c.text()
	}
	if c.has(`,"when":`) {
		d.when = c.int64()
		e.When = &d.when
	}
	if c.has(`,"data":`) {
		e.Data = new(c.text())
	}
	if c.has(`,"data_base64":`) {
		b, err := base64.StdEncoding.DecodeString(c.text())
		e.DataBase64, c.bad = b, c.bad || err != nil
	}
	if c.has(`,"exit":`) {
		c.exit(d)
	}
	if c.has(`,"log":`) {
		e.Log = &Log{}
		c.open()
		if c.next(`"stdout":`) {
			e.Log.Stdout = c.text()
		}
		if c.next(`"stderr":`) {
			e.Log.Stderr = c.text()
		}
		c.must(`}`)
	}
	if c.has(`,"ran":`) {
		d.ran = c.float()
		e.Ran = &d.ran
	}
	if c.has(`,"last":`) {
		e.Last = &Look{}
		c.look(e.Last)
	}
	if c.has(`,"part":`) {
		e.Part = c.int()
	}
	if c.has(`,"parts":`) {
		e.Parts = c.int()
	}
	if c.has(`,"extra":`) {
		e.Extra = map[string]string{}
		c.open()
		for !c.bad && c.next(`"`) {
			c.i--
			key := c.text()
			c.must(`:`)
			e.Extra[key] = c.text()
		}
		c.must(`}`)
	}
}

func (c *scanner) exit(d *scanned) {
	x := &d.exit
	d.e.Exit = x
	c.open()
	if c.next(`"code":`) {
		d.code = c.int()
		x.Code = &d.code
	}
	if c.next(`"signal":`) {
		x.Signal = c.text()
	}
	if c.next(`"core":`) {
		x.Core = c.bool()
	}
	if c.next(`"spawnerr":`) {
		x.SpawnErr = c.text()
	}
	if c.next(`"source":`) {
		x.Source = c.text()
	}
	if c.next(`"oom":`) {
		x.OOM = &OOM{}
		c.oom(x.OOM)
	}
	c.must(`}`)
}

func (c *scanner) oom(o *OOM) {
	c.must(`{"cgroup":`)
	o.Cgroup = c.text()
	if c.has(`,"limit":`) {
		o.Limit = c.uint()
	}
	if c.has(`,"peak":`) {
		o.Peak = c.uint()
	}
	c.must(`}`)
}

func (c *scanner) look(l *Look) {
	c.must(`{"time":`)
	l.Time = c.time()
	if c.has(`,"rss_bytes":`) {
		l.RSS = c.uint()
	}
	if c.has(`,"rss_peak_bytes":`) {
		l.PeakRSS = c.uint()
	}
	if c.has(`,"cpu_seconds":`) {
		l.CPU = c.float()
	}
	if c.has(`,"threads":`) {
		l.Threads = c.int()
	}
	if c.has(`,"fds":`) {
		l.Descriptors = c.int()
	}
	if c.has(`,"age_seconds":`) {
		l.Age = c.float()
	}
	c.must(`}`)
}

// own returns our own string for a name that many events have, so that who keeps
// it does not keep the payload.
func own(s string) string {
	if o, ok := owned[s]; ok {
		return o
	}
	return s
}

var owned = func() map[string]string {
	m := map[string]string{}
	for _, n := range concrete {
		m[n] = n
		if state, ok := strings.CutPrefix(n, "PROCESS_STATE_"); ok {
			m[state] = state
		}
	}
	return m
}()
