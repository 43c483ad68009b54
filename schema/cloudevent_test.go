package schema

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUnmarshal(t *testing.T) {
	ce, err := Unmarshal[*Loss]([]byte(lossDocument))
	if err != nil {
		t.Fatal(err)
	}
	want := &CloudEvent[*Loss]{
		SpecVersion: "1.0", ID: "1", Source: "/supernats/web1", Type: "supernats.bridge.loss", Time: Time{testTime},
		DataContentType: "application/json", DataSchema: "urn:supernats:bridge:1",
		Data: &Loss{
			Host: "web1", Boot: testBoot, Pool: "supernats", Cause: "spool-full", Count: 2,
			Events: map[string]int{"TICK_5": 2},
		},
	}
	if diff := cmp.Diff(want, ce); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEnvelope(t *testing.T) {
	type attributes struct{ ID, Source, Type, Subject string }
	for _, c := range []struct {
		event Event
		want  attributes
	}{
		{
			event: Event{Host: "h", Event: "a.b"},
			want:  attributes{"h//0", "/supervisor/h/", "org.supervisord.other.a=2Eb", ""},
		},
		{
			event: Event{Host: "a/b c", Server: "is: /any?#text%", Boot: "b", Serial: math.MaxUint64, Event: Tick5},
			want: attributes{
				"a/b c/b/18446744073709551615", "/supervisor/a%2Fb%20c/is:%20%2Fany%3F%23text%25",
				"org.supervisord.tick.5", "",
			},
		},
		{
			event: Event{Host: "é", Server: "s", Boot: "b", Event: RemoteCommunication, Type: "a b"},
			want:  attributes{"é/b/0", "/supervisor/%C3%A9/s", "org.supervisord.remote_communication.a=20b", ""},
		},
		{
			event: Event{Host: "h", Server: "s", Boot: "b", Serial: 1, Event: ProcessGroupAdded, Group: "g"},
			want:  attributes{"h/b/1", "/supervisor/h/s", "org.supervisord.process_group.added", "g"},
		},
		{
			event: Event{
				Host: "h", Server: "s", Boot: "b", Serial: 1, Event: ProcessLogStderr, Group: "g", Process: "p",
				Part: 2, Parts: 12,
			},
			want: attributes{"h/b/1/2", "/supervisor/h/s", "org.supervisord.process_log.stderr", "g:p"},
		},
	} {
		ce := c.event.Envelope(testTime)
		if diff := cmp.Diff(c.want, attributes{ce.ID, ce.Source, ce.Type, ce.Subject}); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.event, diff)
		}
	}
}

func TestTime(t *testing.T) {
	for _, s := range []string{`""`, `"2026-11-21"`, `"2026-11-21 19:00:31Z"`, `"2026-11-21T19:00:31"`, `7`, `{}`} {
		var got Time
		if err := json.Unmarshal([]byte(s), &got); err == nil {
			t.Errorf("%s is read as %v", s, got)
		}
	}
	for _, c := range []struct{ in, out string }{
		{in: `"0001-01-01T00:00:00Z"`, out: `"0001-01-01T00:00:00.000000Z"`},
		{in: `"2026-11-21T19:00:31Z"`, out: `"2026-11-21T19:00:31.000000Z"`},
		{in: `"2026-11-21T19:00:31.8335129Z"`, out: `"2026-11-21T19:00:31.833512Z"`},
		{in: `"2026-11-22T00:30:31.5+05:30"`, out: `"2026-11-21T19:00:31.500000Z"`},
	} {
		var got Time
		if err := json.Unmarshal([]byte(c.in), &got); err != nil {
			t.Errorf("%s: %v", c.in, err)
		}
		if got.Location() != time.UTC {
			t.Errorf("%s is read as %v, not in UTC", c.in, got)
		}
		if b := marshal(t, got); string(b) != c.out {
			t.Errorf("%s is written %s, want %s", c.in, b, c.out)
		}
	}
}

func TestMarshal(t *testing.T) {
	if b, err := Marshal(math.NaN()); err == nil || !strings.Contains(err.Error(), "encode float64") {
		t.Errorf("NaN is written %s, %v", b, err)
	}
	if got, want := string(marshal(t, "<a>&\n\"é")), `"<a>&\n\"é"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Two records of one kind have two ids, and the record is not changed.
func TestRecordIDs(t *testing.T) {
	later := testTime.Add(time.Microsecond)
	s, b, l := &Snapshot{Host: "h"}, &Bridge{Host: "h"}, &Loss{Host: "h"}
	ids := []string{
		s.Envelope(testTime).ID, s.Envelope(later).ID, l.Envelope(testTime).ID, l.Envelope(later).ID,
		b.Envelope(BridgeStarted, testTime).ID, b.Envelope(BridgeStarted, later).ID, b.Envelope(BridgeStopping,
			testTime).ID,
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] || !strings.HasPrefix(id, "h/") {
			t.Errorf("id %q in %q", id, ids)
		}
		seen[id] = true
	}
	if s.Processes != nil || b.Settings != nil {
		t.Error("Envelope changes the record")
	}
}
