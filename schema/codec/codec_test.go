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
		{changes: `{"specversion":null}`, want: `specversion ""`},
		{changes: `{"specversion":"0.3"}`, want: `specversion "0.3"`},
		{changes: `{"id":null}`, want: "no id"},
		{changes: `{"type":null}`, want: "no type"},
		{changes: `{"time":"yesterday"}`, want: "time"},
		{changes: `{"time":1795287631}`, want: "time"},
		{changes: `{"data":null}`, want: "no data"},
		{changes: `{"data":7}`, want: "no CloudEvent"},
		{changes: `{"data":{"event":null}}`, want: "no event, host or boot"},
		{changes: `{"data":{"host":null}}`, want: "no event, host or boot"},
		{changes: `{"data":{"boot":null}}`, want: "no event, host or boot"},
		{changes: `{"data":{"serial":"1234"}}`, want: "no CloudEvent"},
		{changes: `{"data":{"serial":-1}}`, want: "no CloudEvent"},
		{changes: `{"data":{"serial":123}}`, want: `not that of its data, "web1/4f0c6d1e2a90b7c3/123"`},
		{changes: `{"data":{"part":1,"parts":2}}`, want: `not that of its data, "web1/4f0c6d1e2a90b7c3/1234/1"`},
		{changes: `{"id":"web1/4f0c6d1e2a90b7c3/12345"}`, want: "not that of its data"},
		{changes: `{"id":"web1/4f0c6d1e2a90b7c3/1234/1"}`, want: "not that of its data"},
		{changes: `{"data":{"expected":1}}`, want: "no CloudEvent"},
		{changes: `{"data":{"data_base64":"?"}}`, want: "no CloudEvent"},
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
	for _, at := range []time.Time{
		time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, want := AppendJSON(nil, e, at), marshal(t, e.Envelope(at)); string(got) != string(want) {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
