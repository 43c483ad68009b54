package schema

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema/schematest"
)

// schemaFiles are the schemas beside this file, by their $id.
var schemaFiles = map[string]string{
	SchemaEvent:             "event.schema.json",
	schemaSnapshot:          "snapshot.schema.json",
	schemaBridge:            "bridge.schema.json",
	schemaAlert:             "alert.schema.json",
	schemaAck:               "ack.schema.json",
	"urn:supernats:state:1": "state.schema.json",
}

// validate returns what a schema refuses in a document, see schematest.Refused.
func validate(t schematest.Fataler, id string, document []byte) []string {
	t.Helper()
	return schematest.Refused(t, strings.TrimSuffix(schemaFiles[id], ".schema.json"), document)
}

func marshal(t schematest.Fataler, v any) []byte {
	t.Helper()
	b, err := Marshal(v)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

func readSchema(t schematest.Fataler, id string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(schemaFiles[id])
	if err != nil {
		t.Fatalf("%v", err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatalf("%s: %v", schemaFiles[id], err)
	}
	return doc
}

func TestSchemasAreNamed(t *testing.T) {
	for id, file := range schemaFiles {
		doc := readSchema(t, id)
		if got, want := doc["$schema"], "https://json-schema.org/draft/2020-12/schema"; got != want {
			t.Errorf("%s is of %q, want %q", file, got, want)
		}
		if got := doc["$id"]; got != id {
			t.Errorf("%s has the $id %q, want %q", file, got, id)
		}
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".schema.json") {
			found = append(found, f.Name())
		}
	}
	var want []string
	for _, file := range schemaFiles {
		want = append(want, file)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("schema files (-tested +found):\n%s", diff)
	}
}

// What one schema and another say of the same thing is the same: each file
// stands alone, so it is written more than once.
func TestSharedDefinitions(t *testing.T) {
	event := readSchema(t, SchemaEvent)["$defs"].(map[string]any)
	for id := range schemaFiles {
		defs := readSchema(t, id)["$defs"].(map[string]any)
		for _, name := range []string{"state", "exit", "oom", "look", "log"} {
			if _, ok := defs[name]; !ok {
				continue
			}
			if diff := cmp.Diff(event[name], defs[name]); diff != "" {
				t.Errorf("$defs/%s of %s (-event +%s):\n%s", name, schemaFiles[id], id, diff)
			}
		}
	}
	var states []any
	for _, name := range Names() {
		if s, ok := strings.CutPrefix(name, "PROCESS_STATE_"); ok {
			states = append(states, s)
		}
	}
	less := func(a, b any) int { return strings.Compare(a.(string), b.(string)) }
	got := slices.SortedFunc(slices.Values(event["state"].(map[string]any)["enum"].([]any)), less)
	slices.SortFunc(states, less)
	if diff := cmp.Diff(states, got); diff != "" {
		t.Errorf("states (-names +schema):\n%s", diff)
	}
}

// A field is a property and a property a field; one that is always written is
// required and the others are not; their types are the same; each is described.
func TestSchemasMatchStructs(t *testing.T) {
	for _, c := range []struct {
		id, def string
		of      any
	}{
		{id: SchemaEvent, of: CloudEvent[int]{}},
		{id: SchemaEvent, def: "event", of: Event{}},
		{id: SchemaEvent, def: "exit", of: Exit{}},
		{id: SchemaEvent, def: "log", of: Log{}},
		{id: SchemaEvent, def: "oom", of: OOM{}},
		{id: SchemaEvent, def: "look", of: Look{}},
		{id: schemaSnapshot, of: CloudEvent[int]{}},
		{id: schemaSnapshot, def: "snapshot", of: Snapshot{}},
		{id: schemaSnapshot, def: "process", of: SnapshotProcess{}},
		{id: schemaBridge, of: CloudEvent[int]{}},
		{id: schemaBridge, def: "bridge", of: Bridge{}},
		{id: schemaBridge, def: "loss", of: Loss{}},
		{id: schemaBridge, def: "process", of: LossProcess{}},
		{id: schemaBridge, def: "section", of: Section{}},
		{id: schemaBridge, def: "reasons", of: Reasons{}},
		{id: schemaBridge, def: "watch", of: Watch{}},
		{id: schemaBridge, def: "trouble", of: Trouble{}},
		{id: schemaBridge, def: "resent", of: Resent{}},
		{id: schemaBridge, def: "forgotten", of: Forgotten{}},
		{id: schemaAlert, of: CloudEvent[int]{}},
		{id: schemaAlert, def: "alert", of: Notification{}},
		{id: schemaAlert, def: "alertEvent", of: AlertEvent{}},
		{id: schemaAlert, def: "recurring", of: Recurring{}},
		{id: schemaAlert, def: "acknowledgement", of: Acknowledgement{}},
		{id: schemaAck, of: CloudEvent[int]{}},
		{id: schemaAck, def: "ack", of: Ack{}},
		{id: "urn:supernats:state:1", of: ProcessRecord{}},
	} {
		doc := readSchema(t, c.id)
		object := doc
		if c.def != "" {
			object = doc["$defs"].(map[string]any)[c.def].(map[string]any)
		}
		name := c.id + " " + c.def
		properties := object["properties"].(map[string]any)
		required := []string{}
		list, _ := object["required"].([]any)
		for _, r := range list {
			required = append(required, r.(string))
		}
		fields, always := map[string]reflect.Type{}, []string{}
		for i := range reflect.TypeOf(c.of).NumField() {
			f := reflect.TypeOf(c.of).Field(i)
			key, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields[key] = f.Type
			if option != "omitempty" && option != "omitzero" {
				always = append(always, key)
			}
		}
		if diff := cmp.Diff(always, required); diff != "" {
			t.Errorf("%s: required (-fields that are never left out +schema):\n%s", name, diff)
		}
		for key, typ := range fields {
			p, ok := properties[key].(map[string]any)
			if !ok {
				t.Errorf("%s: field %q is no property", name, key)
				continue
			}
			resolved := resolve(doc, p)
			if d, _ := p["description"].(string); d == "" && resolved["description"] == nil {
				t.Errorf("%s: property %q has no description", name, key)
			}
			if got, want := jsonType(resolved), goType(typ); got != want && key != "data" {
				t.Errorf("%s: property %q is %s, its field %s", name, key, got, want)
			}
		}
		for key := range properties {
			if _, ok := fields[key]; !ok {
				t.Errorf("%s: property %q is no field", name, key)
			}
		}
		if open := reflect.TypeOf(c.of) == reflect.TypeFor[CloudEvent[int]](); !open &&
			object["additionalProperties"] != false {
			t.Errorf("%s allows more properties", name)
		}
	}
}

func resolve(doc, p map[string]any) map[string]any {
	ref, ok := p["$ref"].(string)
	if !ok {
		return p
	}
	return doc["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
}

func jsonType(p map[string]any) string {
	if t, ok := p["type"].(string); ok {
		return t
	}
	value, ok := p["const"]
	if !ok {
		value = p["enum"].([]any)[0]
	}
	if _, ok := value.(bool); ok {
		return "boolean"
	}
	return reflect.TypeOf(value).String()
}

func goType(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[Time](), t == reflect.TypeFor[[]byte](), t == reflect.TypeFor[Duration]():
		return "string"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "object"
	case t.Kind() == reflect.Slice:
		return "array"
	case t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Float64:
		return "number"
	}
	return "integer"
}

// Records with every field set and with none that may be left out are valid.
func TestRecordsAreValid(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 0, 31, 833512000, time.UTC)
	const boot = "4f0c6d1e2a90b7c3"
	exit, log := &Exit{Signal: "SIGSEGV", Core: true, Source: ExitFromLog, OOM: &OOM{"/a", 2, 1}}, &Log{
		Stdout: "a\n", Stderr: "<b>\n",
	}
	ran, look := new(3.5), &Look{Time{at}, 1, 2, 0.5, 3, 4, 3.25}
	for _, c := range []struct {
		id     string
		record any
	}{
		{
			id:     schemaSnapshot,
			record: (&Snapshot{Host: "web/1", Boot: boot, Reason: "start", SupervisorState: "RUNNING"}).Envelope(at),
		},
		{id: schemaSnapshot, record: (&Snapshot{"web1", "supervisor", boot, 7, "loss", "4.2.5", "SHUTDOWN", []SnapshotProcess{
			{"api", "api_00", "RUNNING", 7, 1, 0, -1, "", "pid 7, uptime 0:00:01", "/a", ""},
		}, 1, 2}).Envelope(at)},
		{id: schemaBridge, record: (&Bridge{Host: "web1", Boot: boot, PID: 1}).Envelope(BridgeStarted, at)},
		{id: schemaBridge, record: (&Bridge{
			"web1", "supervisor", boot, "supernats", "1.0.0", 4711,
			map[string]string{"host": "web1"},
			"supernats", 1, "STOPPING", true, SpoolMemory,
			&Section{[]string{"EVENT"}, 65536, -17, []string{"crashmail"}, "/etc/supervisord.conf"},
			&Reasons{ReasonsNone, "logfile=/dev/null", "set logfile="},
			&Watch{[]string{WatchPidfd, WatchConnector}, WakeByLine, 924, "/proc is hidden"},
		}).Envelope(BridgeStopping, at)},
		{id: schemaBridge, record: (&Bridge{Host: "web1", Boot: boot, PID: 1}).Envelope(BridgeReconnect, at)},
		{id: schemaBridge, record: (&Loss{Host: "web1", Cause: "spool-corrupt"}).Envelope(at)},
		{
			id: schemaBridge,
			record: (&Loss{
				"web1", boot, "supernats", "spool-full", 3, new(uint64(0)), new(uint64(9)),
				map[string]int{Tick5: 3},
				nil,
			}).Envelope(at),
		},
		{
			id: schemaBridge,
			record: (&Loss{
				Host: "web1", Boot: boot, Cause: LossNotListening, Count: 2,
				Processes: []LossProcess{{"api", "api_00", 1, 1}},
			}).Envelope(at),
		},
		{
			id:     schemaBridge,
			record: (&Trouble{Host: "web1", Cause: "disk-full", Text: "full", Since: Time{at}}).Envelope(at),
		},
		{
			id: schemaBridge,
			record: (&Trouble{
				"web1", "supervisor", boot, "supernats", "disk-full", "full", "make room", Time{at}, true,
			}).Envelope(at),
		},
		{
			id: schemaBridge,
			record: (&Resent{
				"web1", "supervisor", boot, "supernats", "web1/" + boot + "/1", "web1/" + boot + "/1/again",
			}).Envelope(at),
		},
		{id: schemaBridge, record: (&Forgotten{Host: "web1", Reason: ForgottenEphemeral}).Envelope(at)},
		{id: schemaBridge, record: (&Forgotten{"web1", ForgottenByHand, "root@mon1", &Time{at}}).Envelope(at)},
		{
			id: schemaAlert,
			record: (&Notification{Incident: "1", Rule: "host-silent", Host: "web1"}).Envelope("1/1", TypeAlertFiring,
				at),
		},
		{
			id: schemaAlert,
			record: (&Notification{Incident: "1", Rule: "host-silent", Host: "web1"}).Envelope("1/2", TypeAlertUpdate,
				at),
		},
		{id: schemaAlert, record: (&Notification{"1", "fatal", KindEvent, "critical", "web1", "api", "api_00", Time{
			at,
		}, &Time{at}, EndedStopped, "STOPPED", &Time{at}, &Time{at}, "bob", "why", &Time{at}, UnackedByHand, &Acknowledgement{"ann", "why", Time{at}, &Time{at}}, true, 1, 2, &Recurring{2, Time{at}, 40_000, 1, 1}, &RecentCrashes{1, 2, &Time{at}}, []AlertEvent{
			{ID: "web1/" + boot + "/1", Time: Time{at}, Event: ProcessStateFatal},
			{
				"web1/" + boot + "/2",
				Time{at},
				9, ProcessStateExited, "web1", "api", "api_00", "supervisor",
				"RUNNING", new(false), 7, exit, log, ran, look, true, &Time{at}, 3, "disk-full", "full", "make room",
			},
		}, map[string]string{"team": "a"}, map[string]string{"runbook": "b"}, []string{"mail"}}).Envelope("1/3",
			TypeAlertResolved, at)},
		{id: schemaAlert, record: (&Notification{
			Incident: "1", Rule: "host-silent", Host: "web1", By: "ann", Acknowledged: &Acknowledgement{By: "ann"},
		}).Envelope("1/2", TypeAlertAcknowledged, at)},
		{id: schemaAlert, record: (&Notification{
			Incident: "1", Rule: "host-silent", Host: "web1", Cause: UnackedByTime, Acknowledged: &Acknowledgement{By: "ann"},
		}).Envelope("1/3", TypeAlertUnacknowledged, at)},
		{id: schemaAck, record: (&Ack{Incident: "1", Rule: "host-silent", Host: "web1", By: "ann"}).Envelope("a", TypeAck, at)},
		{
			id:     schemaAck,
			record: (&Ack{"1", "fatal", "web1", "api", "api_00", "ann", "looking", Duration(90 * time.Minute)}).Envelope("a", TypeUnack, at),
		},
		{
			id:     "urn:supernats:state:1",
			record: ProcessRecord{Host: "web1", Group: "api", Process: "api_00", State: "UNKNOWN", Boot: boot},
		},
		{
			id: "urn:supernats:state:1",
			record: ProcessRecord{
				"web1", "api", "api_00", "FATAL",
				Time{at},
				7, &Time{at}, new(-1), new(false), &Exit{SpawnErr: "no such file"}, new(0.0),
				&Look{Time: Time{at}}, 1, 2, 3, 4, &Time{at},
				Time{at},
				&Crashes{Time{at}, []CrashSlot{{29921460, 2}}, []CrashSlot{{29921400, 1}}},
				&Time{at}, boot, 5, 6,
				Time{at},
				&SnapshotMark{4, Time{at}, true},
			},
		},
	} {
		b := marshal(t, c.record)
		if got := validate(t, c.id, b); got != nil {
			t.Errorf("%s\nis refused: %q", b, got)
		}
	}
}
