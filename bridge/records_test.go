package bridge

import (
	"bytes"
	"fmt"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"supernats/bridge/metrics"
	"supernats/bridge/record"
	"supernats/schema"
	"supernats/schema/codec"
)

const mib = 1 << 20

var (
	readAt   = time.Date(2026, 11, 21, 19, 0, 31, 833512999, time.UTC)
	testBoot = [record.BootSize]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
)

func header(event string, n int) string {
	return fmt.Sprintf("ver:3.0 server:my supervisor serial:1234 pool:supernats poolserial:1200 eventname:%s len:%d", event, n)
}

// eventRecord is the record of an event.
func eventRecord(event, payload string) []byte {
	return record.AppendEvent(nil, readAt, testBoot, []byte(header(event, len(payload))), []byte(payload))
}

// tableRecord is the record of a process table.
func tableRecord(t *testing.T, processes int) []byte {
	t.Helper()
	s := &schema.Snapshot{
		Host: "web 1", Server: "supervisor", Boot: "0123456789abcdef", Serial: 77, Reason: "interval",
		SupervisorVersion: "4.2.5", SupervisorState: "RUNNING",
	}
	for i := range processes {
		s.Processes = append(s.Processes, schema.SnapshotProcess{
			Group: "g", Process: fmt.Sprintf("p_%04d", i), State: "RUNNING", PID: 1000 + i, Start: 1700000000,
			Description:   "pid 7, uptime 1:00:00",
			StdoutLogfile: "/var/log/p-stdout.log", StderrLogfile: "/var/log/p-stderr.log",
		})
	}
	ce := s.Envelope(readAt)
	json, err := schema.Marshal(ce)
	if err != nil {
		t.Fatal(err)
	}
	return record.AppendMessage(nil, readAt, testBoot, nil, schema.SnapshotSubject("web 1"), ce.ID, json)
}

func testEncoder() record.Encoder {
	ttl, _ := record.NewTTL(nil) // the defaults are valid
	return record.Encoder{Host: "web 1", TTL: ttl}
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkParts checks that messages fit into a server's max_payload and are, one
// after the other, an event with a text.
func checkParts(t fataler, msgs []*nats.Msg, id, text string, most int) {
	t.Helper()
	var got bytes.Buffer
	for i, m := range msgs {
		size := len("NATS/1.0\r\n\r\n") + len(m.Data)
		for k, v := range m.Header {
			size += len(k) + len(": \r\n") + len(v[0])
		}
		if size > most {
			t.Fatalf("message %d has %d bytes, allowed are %d", i+1, size, most)
		}
		ce, err := codec.UnmarshalEvent(m.Data)
		if err != nil {
			t.Fatalf("message %d: %v", i+1, err)
		}
		want, e := id, ce.Data
		if len(msgs) > 1 {
			want += fmt.Sprintf("/%d", i+1)
			if e.Part != i+1 || e.Parts != len(msgs) {
				t.Fatalf("message %d of %d is part %d of %d", i+1, len(msgs), e.Part, e.Parts)
			}
		}
		if ce.ID != want || m.Header.Get(nats.MsgIdHdr) != want {
			t.Fatalf("message %d has the ids %q and %q, not %q", i+1, ce.ID, m.Header.Get(nats.MsgIdHdr), want)
		}
		if m.Subject != msgs[0].Subject {
			t.Fatalf("message %d goes to %s, the first to %s", i+1, m.Subject, msgs[0].Subject)
		}
		if utf8.ValidString(text) != (e.Data != nil) {
			t.Fatalf("message %d: text is %v", i+1, e.Data != nil)
		}
		if e.Data != nil {
			got.WriteString(*e.Data)
		}
		got.Write(e.DataBase64)
	}
	if got.String() != text {
		t.Fatalf("%d bytes in %d messages are not the text of %d bytes", got.Len(), len(msgs), len(text))
	}
}

// testMetrics are metrics that nobody scrapes.
func testMetrics() *metrics.Metrics { return metrics.New(prometheus.NewRegistry(), metrics.Config{}) }
