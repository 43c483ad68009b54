package record

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"supernats/bridge/publish"
	"supernats/bridge/record/recordtest"
)

const mib = 1 << 20

var readAt, testBoot = recordtest.ReadAt, recordtest.Boot

func testEncoder() *Encoder { return &Encoder{Host: "web 1", TTL: defaultTTL} }

func eventRecord(event, payload string) []byte {
	return AppendEvent(nil, readAt, testBoot, recordtest.Header(event, len(payload)), []byte(payload))
}

func TestEncodeErrors(t *testing.T) {
	whole := eventRecord("TICK_5", "when:1201063880")
	unknown := append([]byte{'x'}, whole[1:]...)
	for _, tc := range []struct {
		name string
		rec  []byte
		want error // nil: any
		text string
	}{
		{name: "nothing", rec: nil, want: ErrMalformed, text: "malformed"},
		{name: "cut in its head", rec: whole[:headSize-1], want: ErrMalformed, text: "malformed"},
		{name: "only a head", rec: whole[:headSize], want: ErrMalformed, text: "malformed"},
		{name: "cut in its header", rec: whole[:headSize+20], want: ErrMalformed, text: "malformed"},
		{name: "of a kind not known", rec: unknown, want: ErrMalformed, text: `kind 'x'`},
		{
			name: "with an invalid header", rec: append(bytes.Clone(whole[:headSize]), "READY\nwhen:1"...), want: nil,
			text: `"READY"`,
		},
		{
			name: "message without id", rec: appendHead([]byte{}, kindMessage, readAt, testBoot), want: ErrMalformed,
			text: "malformed",
		},
		{
			name: "message without JSON",
			rec:  append(appendHead(nil, kindMessage, readAt, testBoot), "\nsubject\nid"...), want: ErrMalformed,
			text: "malformed",
		},
		{
			name: "names beyond max_payload",
			rec:  eventRecord("PROCESS_LOG_STDOUT", "processname:"+strings.Repeat("p", 2*mib)+" groupname:g\ndata"),
			want: publish.ErrTooLarge, text: "web 1/0123456789abcdef/1234 needs",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			msgs, err := testEncoder().Encode(tc.rec, mib)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("Encode: %d messages, %v", len(msgs), err)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	const at = `"time":"2026-11-21T19:00:31.833512Z","datacontenttype":"application/json","dataschema":"urn:supernats:event:1"`
	const data = `"host":"web 1","server":"my supervisor","boot":"0123456789abcdef","serial":1234,"pool":"supernats","poolserial":1200`
	envelope := func(typ, subject string) string {
		if subject != "" {
			subject = `"subject":"` + subject + `",`
		}
		return `{"specversion":"1.0","id":"web 1/0123456789abcdef/1234","source":"/supervisor/web%201/my%20supervisor","type":"org.supervisord.` +
			typ + `",` + subject + at + `,"data":{"event":`
	}
	headers := func(id, ttl string) nats.Header {
		h := nats.Header{"Nats-Msg-Id": {id}, "Content-Type": {"application/cloudevents+json"}}
		if ttl != "" {
			h["Nats-TTL"] = []string{ttl}
		}
		return h
	}
	const id = "web 1/0123456789abcdef/1234"
	for _, tc := range []struct {
		name string
		rec  []byte
		want *nats.Msg
	}{
		{
			name: "an exit", rec: eventRecord("PROCESS_STATE_EXITED",
				"processname:api_00 groupname:api from_state:RUNNING expected:0 pid:7"),
			want: &nats.Msg{
				Subject: "supervisor.event.web=201.api.api_00.process_state.exited", Header: headers(id, ""),
				Data: []byte(envelope("process_state.exited", "api:api_00") + `"PROCESS_STATE_EXITED",` + data +
					`,"group":"api","process":"api_00","from_state":"RUNNING","expected":false,"pid":7}}`),
			},
		},
		{
			name: "a tick, with a time to live", rec: eventRecord("TICK_5", "when:1201063880"),
			want: &nats.Msg{
				Subject: "supervisor.event.web=201.-.-.tick.5", Header: headers(id, "3600s"),
				Data: []byte(envelope("tick.5", "") + `"TICK_5",` + data + `,"when":1201063880}}`),
			},
		},
		{
			name: "a log of line breaks and bytes", rec: eventRecord("PROCESS_LOG_STDERR",
				"processname:a groupname:a pid:7 channel:stderr\n\n\n\xff\n"),
			want: &nats.Msg{
				Subject: "supervisor.event.web=201.a.a.process_log.stderr", Header: headers(id, "259200s"),
				Data: []byte(envelope("process_log.stderr", "a:a") + `"PROCESS_LOG_STDERR",` + data +
					`,"group":"a","process":"a","pid":7,"channel":"stderr","data_base64":"Cgr/Cg=="}}`),
			},
		},
		{
			name: "a payload that is empty", rec: eventRecord("SUPERVISOR_STATE_CHANGE_RUNNING", ""),
			want: &nats.Msg{
				Subject: "supervisor.event.web=201.-.-.supervisor_state_change.running", Header: headers(id, ""),
				Data: []byte(envelope("supervisor_state_change.running", "") + `"SUPERVISOR_STATE_CHANGE_RUNNING",` +
					data + `}}`),
			},
		},
		{
			name: "a message of our own", rec: AppendMessage(nil, readAt, testBoot, nil,
				"supervisor.bridge.web=201.started", "an id", []byte("{\n}")),
			want: &nats.Msg{
				Subject: "supervisor.bridge.web=201.started", Header: headers("an id", ""), Data: []byte("{\n}"),
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			msgs, err := testEncoder().Encode(tc.rec, mib)
			if err != nil || len(msgs) != 1 {
				t.Fatalf("%d messages, %v", len(msgs), err)
			}
			if diff := cmp.Diff(tc.want.Header, msgs[0].Header); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			got := []string{msgs[0].Subject, string(msgs[0].Data)}
			if diff := cmp.Diff([]string{tc.want.Subject, string(tc.want.Data)}, got); diff != "" {
				t.Errorf("subject and payload (-want +got):\n%s", diff)
			}
		})
	}
}

// The buffer is used again from one event to the next.
func TestAppendEvent(t *testing.T) {
	buf := eventRecord("X", strings.Repeat("x", 1000))
	again := AppendEvent(buf[:0], readAt, testBoot, recordtest.Header("TICK_5", 6), []byte("when:1"))
	if &again[0] != &buf[0] || !bytes.Equal(again, eventRecord("TICK_5", "when:1")) {
		t.Errorf("record is %q", again)
	}
}

// Whatever an event holds: each of its messages fits, and together they are it.
func TestParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(2000, 20_000).Draw(t, "max_payload")
		piece := rapid.OneOf(
			rapid.String(),
			rapid.SampledFrom([]string{
				"\x00", "\"", "\\", "\n", "<&>", "\u2028", "进", "😀", "\x1b[1m", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			}),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 9), func(b []byte) string { return string(b) }))
		text := strings.Repeat(strings.Join(rapid.SliceOfN(piece, 1, 20).Draw(t, "pieces"), ""),
			rapid.IntRange(1, 300).Draw(t, "times"))
		typ := rapid.SampledFrom([]string{"", "a type: of its own", "é*>"}).Draw(t, "type")

		msgs, err := testEncoder().Encode(eventRecord("REMOTE_COMMUNICATION", "type:"+typ+"\n"+text), most)
		if err != nil {
			t.Fatal(err)
		}
		recordtest.CheckParts(t, msgs, "web 1/0123456789abcdef/1234", text, most)
	})
}

// A message that is made in the memory of another one has nothing of it left.
func TestEncodeInPlace(t *testing.T) {
	enc, m := testEncoder(), new(nats.Msg)
	for _, rec := range [][]byte{
		eventRecord("PROCESS_LOG_STDOUT", "processname:a groupname:a pid:7 channel:stdout\n"+
			strings.Repeat("long ", 1000)),
		eventRecord("PROCESS_STATE_RUNNING", "processname:b groupname:g from_state:STARTING pid:8"),
		eventRecord("TICK_5", "when:1201063880"),
	} {
		want, err := enc.Encode(rec, mib)
		if err != nil {
			t.Fatal(err)
		}
		m.Reply = "of the last one"
		at, event, _, err := enc.Decode(rec)
		if err != nil {
			t.Fatal(err)
		}
		got, err := enc.EncodeEvent(m, event, at, mib)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(nats.Msg{})); diff != "" {
			t.Errorf("-new +in place:\n%s", diff)
		}
	}
}
