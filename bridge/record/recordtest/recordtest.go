// Package recordtest holds what tests put into records, and checks the messages that are
// made of them. It knows the contract only, not the package record, so that the tests of
// that can use it.
package recordtest

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/schematest"
)

// ReadAt is when the events were read: with nanoseconds, of which a message has none.
var ReadAt = time.Date(2026, 11, 21, 19, 0, 31, 833512999, time.UTC)

// Boot is the life of supervisord that the events are of, and BootName how it is written.
var Boot = [8]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}

// BootName is Boot as messages have it.
const BootName = "0123456789abcdef"

// Header is the header line of an event, with the serial 1234, whose payload has n bytes.
func Header(event string, n int) []byte {
	return fmt.Appendf(nil,
		"ver:3.0 server:my supervisor serial:1234 pool:supernats poolserial:1200 eventname:%s len:%d", event, n)
}

// Table is the process table of the host "web 1" with some rows.
func Table(rows []schema.SnapshotProcess) *schema.Snapshot {
	return &schema.Snapshot{
		Host: "web 1", Server: "supervisor", Boot: BootName, Serial: 77, Reason: "interval",
		SupervisorVersion: "4.2.5", SupervisorState: "RUNNING", Processes: rows,
	}
}

// Row is the i-th row of a process table.
func Row(i int) schema.SnapshotProcess {
	return schema.SnapshotProcess{
		Group: "g", Process: fmt.Sprintf("p_%04d", i), State: "RUNNING", PID: 1000 + i, Start: 1700000000,
		Description:   "pid 7, uptime 1:00:00",
		StdoutLogfile: "/var/log/p-stdout.log", StderrLogfile: "/var/log/p-stderr.log",
	}
}

// Rows are the first n rows of a process table.
func Rows(n int) (rows []schema.SnapshotProcess) {
	for i := range n {
		rows = append(rows, Row(i))
	}
	return rows
}

// Size is the size of a message as nats-server counts it against its max_payload.
func Size(m *nats.Msg) int {
	n := len("NATS/1.0\r\n\r\n") + len(m.Data)
	for k, v := range m.Header {
		n += len(k) + len(": \r\n") + len(v[0])
	}
	return n
}

// CheckParts checks that messages fit into a server's max_payload and are, one after the
// other, an event with a text.
func CheckParts(t schematest.Fataler, msgs []*nats.Msg, id, text string, most int) {
	t.Helper()
	var got bytes.Buffer
	for i, m := range msgs {
		if size := Size(m); size > most {
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
