package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"supernats/schema"
	"supernats/schema/internal/fastjson"
)

// scanAnyOrder reads an event that another program has written, with its fields in any order
// and with white space, as encoding/json would. It returns false for what is not known here,
// for what is wrong, and for what encoding/json would merge: an object that is there twice.
func scanAnyOrder(payload []byte) (*schema.CloudEvent[*schema.Event], bool) {
	if hasSpace(payload) {
		var b bytes.Buffer
		b.Grow(len(payload))
		if json.Compact(&b, payload) != nil {
			return nil, false
		}
		payload = b.Bytes()
	}

	c := fastjson.NewScanner(payload)
	d := &scannedEvent{}
	c.Open()
	for key, ok := c.NextKey(); ok; key, ok = c.NextKey() {
		d.scanAttribute(&c, key)
	}
	c.Must(`}`)

	ce := &d.envelope
	return ce, c.AtEnd() && ce.SpecVersion == schema.SpecVersion && ce.ID != "" && ce.Type != "" && ce.Data != nil
}

// hasSpace reports whether white space may stand between fields.
func hasSpace(payload []byte) bool {
	return bytes.Contains(payload, []byte(`": `)) || bytes.Contains(payload, []byte(`, "`)) ||
		bytes.ContainsAny(payload, "\n\t")
}

// scanAttribute reads the value of an attribute of the CloudEvent.
func (d *scannedEvent) scanAttribute(c *fastjson.Scanner, name string) {
	ce := &d.envelope
	switch name {
	case "specversion":
		ce.SpecVersion = c.Text()
	case "id":
		ce.ID = c.Text()
	case "source":
		ce.Source = c.Text()
	case "type":
		ce.Type = c.Text()
	case "subject":
		ce.Subject = c.Text()
	case "time":
		scanTime(c, &ce.Time)
	case "datacontenttype":
		ce.DataContentType = c.Text()
	case "dataschema":
		ce.DataSchema = c.Text()

	case "data":
		openOnce(c, ce.Data != nil)
		ce.Data = &d.event
		for key, ok := c.NextKey(); ok; key, ok = c.NextKey() {
			d.scanField(c, key)
		}
		c.Must(`}`)
	default:
		c.Refuse()
	}
}

// openOnce opens an object that has fields, unless it was there before.
func openOnce(c *fastjson.Scanner, isThere bool) {
	if isThere || c.Has(`{}`) {
		c.Refuse()
	}
	c.Open()
}

// scanTime reads an instant in any form that encoding/json takes.
func scanTime(c *fastjson.Scanner, t *schema.Time) {
	text := c.Text()
	if strings.ContainsAny(text, `"\`) || t.UnmarshalJSON([]byte(`"`+text+`"`)) != nil {
		c.Refuse()
	}
}

// scanField reads the value of a field that most events have.
func (d *scannedEvent) scanField(c *fastjson.Scanner, name string) {
	e := &d.event
	switch name {
	case "event":
		e.Event = ownName(c.Text())
	case "host":
		e.Host = c.Text()
	case "server":
		e.Server = c.Text()
	case "boot":
		e.Boot = c.Text()
	case "serial":
		e.Serial = c.Uint()
	case "pool":
		e.Pool = c.Text()
	case "poolserial":
		e.PoolSerial = c.Uint()

	case "group":
		e.Group = c.Text()
	case "process":
		e.Process = c.Text()
	case "from_state":
		e.FromState = ownName(c.Text())
	case "expected":
		d.expected = c.Bool()
		e.Expected = &d.expected
	case "pid":
		e.PID = c.Int()
	case "tries":
		d.tries = c.Int()
		e.Tries = &d.tries
	default:
		d.scanRareField(c, name)
	}
}

// scanRareField reads the value of a field that few events have. Objects in it have to be as
// AppendJSON writes them.
func (d *scannedEvent) scanRareField(c *fastjson.Scanner, name string) {
	e := &d.event
	switch name {
	case "channel":
		e.Channel = c.Text()
	case "type":
		e.Type = c.Text()
	case "when":
		d.when = c.Int64()
		e.When = &d.when
	case "data":
		e.Data = new(c.Text())
	case "data_base64":
		data, err := base64.StdEncoding.DecodeString(c.Text())
		if err != nil || e.DataBase64 != nil {
			c.Refuse()
		}
		e.DataBase64 = data

	case "exit":
		if e.Exit != nil || c.Has(`{}`) {
			c.Refuse()
		}
		e.Exit = &d.exit
		d.scanExit(c)
	case "log":
		if e.Log != nil || c.Has(`{}`) {
			c.Refuse()
		}
		e.Log = &schema.Log{}
		scanLog(c, e.Log)
	case "ran":
		d.ran = c.Float()
		e.Ran = &d.ran
	default: // last, part, parts, extra, and what is not known
		c.Refuse()
	}
}
