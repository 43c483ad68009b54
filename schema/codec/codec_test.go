package codec

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
	"supernats/schema/schematest"
)

func TestUnmarshalEventErrors(t *testing.T) {
	for _, c := range []struct{ changes, want string }{
		{`{"specversion":null}`, `specversion ""`},
		{`{"specversion":"0.3"}`, `specversion "0.3"`},
		{`{"id":null}`, "no id"},
		{`{"type":null}`, "no type"},
		{`{"time":"yesterday"}`, "time"},
		{`{"time":1795287631}`, "time"},
		{`{"data":null}`, "no data"},
		{`{"data":7}`, "no CloudEvent"},
		{`{"data":{"event":null}}`, "no event, host or boot"},
		{`{"data":{"host":null}}`, "no event, host or boot"},
		{`{"data":{"boot":null}}`, "no event, host or boot"},
		{`{"data":{"serial":"1234"}}`, "no CloudEvent"},
		{`{"data":{"serial":-1}}`, "no CloudEvent"},
		{`{"data":{"serial":123}}`, `not that of its data, "web1/4f0c6d1e2a90b7c3/123"`},
		{`{"data":{"part":1,"parts":2}}`, `not that of its data, "web1/4f0c6d1e2a90b7c3/1234/1"`},
		{`{"id":"web1/4f0c6d1e2a90b7c3/12345"}`, "not that of its data"},
		{`{"id":"web1/4f0c6d1e2a90b7c3/1234/1"}`, "not that of its data"},
		{`{"data":{"expected":1}}`, "no CloudEvent"},
		{`{"data":{"data_base64":"?"}}`, "no CloudEvent"},
	} {
		ce, err := UnmarshalEvent(schematest.Patch(t, schematest.ExitedDocument, c.changes))
		if err == nil || !strings.Contains(err.Error(), c.want) || ce != nil {
			t.Errorf("%s: %v, %v; want an error with %q", c.changes, ce, err, c.want)
		}
	}
	for _, payload := range []string{"", "null", "[]", "{}", `{"specversion":"1.0"`, schematest.ExitedDocument + "x"} {
		if ce, err := UnmarshalEvent([]byte(payload)); err == nil || ce != nil {
			t.Errorf("%.20q: %v, %v; want an error", payload, ce, err)
		}
	}
}

// Extension attributes and members of data that a newer bridge adds are passed
// over.
func TestUnmarshalEventOfNewerBridge(t *testing.T) {
	want, err := UnmarshalEvent([]byte(schematest.ExitedDocument))
	if err != nil {
		t.Fatal(err)
	}
	got, err := UnmarshalEvent(schematest.Patch(t, schematest.ExitedDocument, `{"sampledrate":3,"data":{"cgroup":"a"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-without +with):\n%s", diff)
	}
}

// What the bridge writes is read as it was, by the scanner too.
func TestEventsThatAreWrittenCanBeRead(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		e := &schema.Event{}
		schematest.Hostile(r, e)
		for _, s := range []*string{&e.Event, &e.Host, &e.Boot, &e.Server, &e.Type} {
			*s = valid(*s) + "x"
		}
		var at schema.Time
		schematest.Hostile(r, &at)
		written := AppendJSON(nil, e, at.Time)
		ce, err := UnmarshalEvent(written)
		if err != nil {
			t.Fatalf("%v: %.2000s", err, written)
		}
		if again := AppendJSON(nil, ce.Data, ce.Time.Time); replaced(again) != replaced(written) {
			t.Fatalf("it was  %.2000s\nand is %.2000s", written, again)
		}
	}
}

// replaced is JSON in which a byte that is no UTF-8 looks the same whenever it was replaced.
func replaced(json []byte) string { return strings.ReplaceAll(string(json), `\ufffd`, "\ufffd") }

func TestTimesThatCannotBeWritten(t *testing.T) {
	e := &schema.Event{Event: schema.Tick5, Host: "web1"}
	for _, at := range []time.Time{time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if got, want := AppendJSON(nil, e, at), marshal(t, e.Envelope(at)); string(got) != string(want) {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
