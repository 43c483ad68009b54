package record

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"supernats/bridge/publish"
	"supernats/bridge/record/recordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/schematest"
	"supernats/schema/stream"
)

// tableOf is the record of a process table.
func tableOf(t *testing.T, rows []schema.SnapshotProcess) ([]byte, *schema.Snapshot) {
	t.Helper()
	s := recordtest.Table(rows)
	ce := s.Envelope(readAt)
	json, err := schema.Marshal(ce)
	if err != nil {
		t.Fatal(err)
	}
	return AppendMessage(nil, readAt, testBoot, nil, schema.SnapshotSubject("web 1"), ce.ID, json), s
}

// A process table is divided, whatever the limit is, into parts that are it together.
func TestDivide(t *testing.T) {
	rows := recordtest.Rows(3000)
	rows[7].Description = strings.Repeat("long ", 100_000)
	rows[8].SpawnErr = strings.Repeat("é", 2000)
	rec, table := tableOf(t, rows)
	for _, limit := range []int{1 << 20, 64 << 10, 4 << 10, publishLeast} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			msgs, err := testEncoder().Encode(rec, limit)
			if err != nil || len(msgs) < 2 {
				t.Fatalf("%d messages: %v", len(msgs), err)
			}
			var got []schema.SnapshotProcess
			for i, m := range msgs {
				if n := recordtest.Size(m); n > limit {
					t.Fatalf("message %d has %d bytes", i+1, n)
				}
				schematest.ValidateDocument(t, "snapshot", m.Data)
				ce, err := schema.Unmarshal[*schema.Snapshot](m.Data)
				if err != nil {
					t.Fatal(err)
				}
				s := ce.Data
				want := *table
				want.Part, want.Parts, want.Processes = i+1, len(msgs), s.Processes
				if diff := cmp.Diff(&want, s); diff != "" {
					t.Fatalf("part %d (-want +got):\n%s", i+1, diff)
				}
				id := fmt.Sprintf("%s/%d", table.Envelope(readAt).ID, i+1)
				if ce.ID != id || m.Header.Get(nats.MsgIdHdr) != id || m.Header.Get(stream.HeaderTTL) != "3600s" ||
					!ce.Time.Equal(table.Envelope(readAt).Time.Truncate(time.Microsecond)) {
					t.Fatalf("part %d: %q, %v, %v", i+1, ce.ID, m.Header, ce.Time)
				}
				got = append(got, s.Processes...)
			}
			for i := range got {
				got[i].Description, got[i].SpawnErr = "", ""
				got[i].StdoutLogfile, got[i].StderrLogfile = "", ""
			}
			var want []schema.SnapshotProcess
			for _, r := range rows {
				r.Description, r.SpawnErr, r.StdoutLogfile, r.StderrLogfile = "", "", "", ""
				want = append(want, r)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// publishLeast is the least that messages are made for.
const publishLeast = 1 << 10

// One row that is too large by its names is left out, and that is reported; a table that
// only its texts make too large is not divided.
func TestDivideOddTables(t *testing.T) {
	odd := recordtest.Row(1)
	odd.Process = strings.Repeat("n", 5000)
	rec, _ := tableOf(t, []schema.SnapshotProcess{recordtest.Row(0), odd, recordtest.Row(2)})
	msgs, err := testEncoder().Encode(rec, 4000)
	if !errors.Is(err, publish.ErrPartly) || len(msgs) != 1 || strings.Contains(string(msgs[0].Data), `"part`) {
		t.Errorf("%d messages, %v", len(msgs), err)
	}
	long := recordtest.Row(1)
	long.Description = strings.Repeat("n", 5000)
	rec, table := tableOf(t, []schema.SnapshotProcess{recordtest.Row(0), long})
	msgs, err = testEncoder().Encode(rec, 4000)
	if err != nil || len(msgs) != 1 || msgs[0].Header.Get(nats.MsgIdHdr) != table.Envelope(readAt).ID {
		t.Errorf("%d messages, %v", len(msgs), err)
	}
}

// Log tails are shortened from their beginning; what the event says stays.
func TestShortenLog(t *testing.T) {
	line := "2026-11-21 19:00:31 \"a line\" of é log\n"
	for _, tc := range []struct {
		name     string
		out, err string
		limit    int
	}{
		{name: "both long", out: strings.Repeat(line, 5000), err: strings.Repeat(line, 6000), limit: 64 << 10},
		{name: "one short", out: line, err: strings.Repeat(line, 6000), limit: 64 << 10},
		{name: "other short", out: strings.Repeat(line, 6000), err: line, limit: 8 << 10},
		{name: "one line", out: strings.Repeat("x", 100_000), err: "", limit: 8 << 10},
		{name: "escapes", out: strings.Repeat("\x01\n", 10_000), err: strings.Repeat("\"\\", 10_000), limit: 8 << 10},
		{name: "no room", out: strings.Repeat(line, 5000), err: strings.Repeat(line, 5000), limit: publishLeast},
	} {
		t.Run(tc.name, func(t *testing.T) {
			enc := testEncoder()
			at, e, _, err := enc.Decode(eventRecord("PROCESS_STATE_EXITED",
				"processname:p groupname:g from_state:RUNNING expected:0 pid:7"))
			if err != nil {
				t.Fatal(err)
			}
			code := 3
			e.Exit, e.Log = &schema.Exit{Code: &code}, &schema.Log{Stdout: tc.out, Stderr: tc.err}
			msgs, err := enc.EncodeEvent(new(nats.Msg), e, at, tc.limit)
			if err != nil || len(msgs) != 1 {
				t.Fatalf("%d messages: %v", len(msgs), err)
			}
			if n := recordtest.Size(msgs[0]); n > tc.limit || tc.limit > 2000 && n < tc.limit-1000 {
				t.Errorf("the message has %d bytes, allowed are %d", n, tc.limit)
			}
			ce, err := codec.UnmarshalEvent(msgs[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			got := ce.Data
			if log := got.Log; log != nil {
				if !strings.HasSuffix(tc.out, log.Stdout) || !strings.HasSuffix(tc.err, log.Stderr) {
					t.Error("the log is not the end of the log")
				}
				if strings.HasPrefix(tc.out, line) && log.Stdout != "" && !strings.HasPrefix(log.Stdout, line) {
					t.Errorf("stdout begins with %q", log.Stdout[:20])
				}
			}
			got.Log, e.Log = nil, nil
			if diff := cmp.Diff(e, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

// Pairs that are not known and texts of supervisord give way to the rest.
func TestShortenTexts(t *testing.T) {
	rec := eventRecord("PROCESS_STATE_RUNNING", "processname:p groupname:g from_state:STARTING x:"+
		strings.Repeat("p", 2*mib)+" pid:7")
	msgs, err := testEncoder().Encode(rec, mib)
	if err != nil || len(msgs) != 1 {
		t.Fatalf("%d messages: %v", len(msgs), err)
	}
	ce, err := codec.UnmarshalEvent(msgs[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	if x := ce.Data.Extra["x"]; ce.Data.PID != 7 || !strings.HasPrefix(x, "ppp") || !strings.HasSuffix(x, "…") {
		t.Errorf("event: %.300s", msgs[0].Data)
	}
}

// Records of the bridge are shortened, and stay what the schema wants.
func TestShortenRecords(t *testing.T) {
	long := strings.Repeat("a long text ", 10_000)
	events := map[string]int{}
	var lost []schema.LossProcess
	settings := map[string]string{}
	for i := range 5000 {
		events[fmt.Sprintf("OTHER_%d", i)] = i + 1
		lost = append(lost, schema.LossProcess{Group: "g", Process: fmt.Sprint("p", i), Starts: 1})
		settings[fmt.Sprint("ttl ", i)] = "1h"
	}
	first := uint64(1<<63 + 1)
	envelopes := map[string]any{
		"loss": (&schema.Loss{
			Host: "h", Boot: "0123456789abcdef", Pool: "p", Cause: schema.LossNotListening, Count: 1 << 60,
			FirstPoolSerial: &first, LastPoolSerial: &first, Events: events, Processes: lost,
		}).Envelope(readAt),
		"started": (&schema.Bridge{
			Host: "h", Boot: "0123456789abcdef", PID: 7, BridgeVersion: "1", Settings: settings,
			Section: &schema.Section{Events: strings.Fields(long), BufferSize: 1, SamePriority: strings.Fields(long)},
			Reasons: &schema.Reasons{Source: "none", Problem: long, Fix: long},
		}).Envelope(schema.BridgeStarted, readAt),
		"trouble": (&schema.Trouble{
			Host: "h", Boot: "0123456789abcdef", Cause: "disk-full", Text: long, Fix: long,
			Since: schema.Time{Time: readAt},
		}).Envelope(readAt),
	}
	for kind, ce := range envelopes {
		t.Run(kind, func(t *testing.T) {
			whole, err := schema.Marshal(ce)
			if err != nil {
				t.Fatal(err)
			}
			rec := AppendMessage(nil, readAt, testBoot, nil, schema.BridgeSubject("h", kind), "an id", whole)
			for _, limit := range []int{64 << 10, 4 << 10, 2 << 10} {
				msgs, err := testEncoder().Encode(rec, limit)
				if err != nil || len(msgs) != 1 || recordtest.Size(msgs[0]) > limit {
					t.Fatalf("%d messages for %d: %v", len(msgs), limit, err)
				}
				schematest.ValidateDocument(t, "bridge", msgs[0].Data)
				if kind == "loss" && (!strings.Contains(string(msgs[0].Data), `"count":1152921504606846976`) ||
					!strings.Contains(string(msgs[0].Data), `"first_poolserial":9223372036854775809`)) {
					t.Errorf("numbers are not kept: %.500s", msgs[0].Data)
				}
			}
		})
	}
}
