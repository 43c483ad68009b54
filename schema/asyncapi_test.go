package schema

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func readAsyncAPI(t *testing.T) map[string]any {
	t.Helper()
	b, err := os.ReadFile("asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.UnmarshalWithOptions(b, &doc, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// at follows a path of keys, and every $ref on its way.
func at(t *testing.T, doc map[string]any, path ...string) map[string]any {
	t.Helper()
	node := doc
	for _, key := range path {
		next, ok := node[key].(map[string]any)
		if !ok {
			t.Fatalf("asyncapi.yaml: no %q on the way of %q", key, path)
		}
		if ref, ok := next["$ref"].(string); ok && strings.HasPrefix(ref, "#/") {
			next = at(t, doc, strings.Split(ref[2:], "/")...)
		}
		node = next
	}
	return node
}

func TestAsyncAPIRefs(t *testing.T) {
	doc := readAsyncAPI(t)
	if doc["asyncapi"] != "3.0.0" || doc["defaultContentType"] != ContentType {
		t.Errorf("version %v, content type %v", doc["asyncapi"], doc["defaultContentType"])
	}
	files := map[string]bool{}
	var walk func(node any, where string)
	walk = func(node any, where string) {
		switch node := node.(type) {
		case []any:
			for _, n := range node {
				walk(n, where)
			}
		case map[string]any:
			for k, n := range node {
				walk(n, where+"/"+k)
			}
			ref, ok := node["$ref"].(string)
			if !ok {
				return
			}
			if pointer, ok := strings.CutPrefix(ref, "#/"); ok {
				at(t, doc, strings.Split(pointer, "/")...)
				return
			}
			if _, err := os.Stat(ref); err != nil {
				t.Errorf("%s: %v", where, err)
			}
			files[strings.TrimPrefix(ref, "./")] = true
		}
	}
	walk(doc, "")
	want := slices.Sorted(maps.Values(schemaFiles))
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("schema files (-all +used):\n%s", diff)
	}
}

// An address with its parameters filled in is what the functions write.
func TestAsyncAPIAddresses(t *testing.T) {
	doc := readAsyncAPI(t)
	const host, group, process, rule = "web1.example.com", "a b", "my.app-weird*>é", "unexpected exit"
	parameter := regexp.MustCompile(`\{(\w+)\}`)
	for channel, want := range map[string]string{
		"event":    Subject{Host: host, Group: group, Process: process, Event: ProcessStateExited}.String(),
		"snapshot": SnapshotSubject(host),
		"bridge":   BridgeSubject(host, BridgeLoss),
		"alert":    AlertSubject(host, group, process, rule),
		"ack":      AckSubject(host, group, process, rule),
	} {
		c := at(t, doc, "channels", channel)
		address := c["address"].(string)
		values := map[string]string{
			"host": Token(host), "group": Token(group), "process": Token(process), "rule": Token(rule),
			"family": "process_state", "kind": "exited",
		}
		if channel == "bridge" {
			values["kind"] = BridgeLoss
		}
		var used []string
		got := parameter.ReplaceAllStringFunc(address, func(p string) string {
			used = append(used, p[1:len(p)-1])
			return values[p[1:len(p)-1]]
		})
		if got != want {
			t.Errorf("channel %s: address %s is %s, the function writes %s", channel, address, got, want)
		}
		slices.Sort(used)
		described := slices.Sorted(maps.Keys(c["parameters"].(map[string]any)))
		if diff := cmp.Diff(used, described); diff != "" {
			t.Errorf("channel %s: parameters (-address +described):\n%s", channel, diff)
		}
		for _, p := range described {
			for _, example := range list(at(t, doc, "channels", channel, "parameters", p)["examples"]) {
				if _, err := ParseToken(example); err != nil {
					t.Errorf("channel %s, parameter %s: example %q: %v", channel, p, example, err)
				}
			}
		}
	}
	if got := slices.Sorted(maps.Keys(at(t, doc, "channels"))); len(got) != 5 {
		t.Errorf("channels are %q", got)
	}
}

func list(v any) []string {
	var s []string
	items, _ := v.([]any)
	for _, item := range items {
		s = append(s, item.(string))
	}
	return s
}

// What the document lists is what there is.
func TestAsyncAPIEnums(t *testing.T) {
	doc := readAsyncAPI(t)
	var families []string
	for _, n := range append(Names(), "FROZEN") {
		if f, _ := Tail(n, ""); !slices.Contains(families, f) {
			families = append(families, f)
		}
	}
	if diff := cmp.Diff(families, list(at(t, doc, "channels", "event", "parameters", "family")["enum"])); diff != "" {
		t.Errorf("families (-names +document):\n%s", diff)
	}
	kinds := []string{
		BridgeStarted, BridgeStopping, BridgeReconnect, BridgeLoss, BridgeTrouble, BridgeResent, BridgeForgotten,
	}
	if diff := cmp.Diff(kinds, list(at(t, doc, "channels", "bridge", "parameters", "kind")["enum"])); diff != "" {
		t.Errorf("kinds (-constants +document):\n%s", diff)
	}
	want := map[string]string{
		"event": "org.supervisord", "snapshot": TypeSnapshot,
		"started": TypeBridgePrefix + BridgeStarted, "stopping": TypeBridgePrefix + BridgeStopping,
		"reconnect": TypeBridgePrefix + BridgeReconnect, "loss": TypeBridgePrefix + BridgeLoss,
		"trouble": TypeBridgePrefix + BridgeTrouble, "resent": TypeBridgePrefix + BridgeResent, "forgotten": TypeBridgePrefix + BridgeForgotten,
		"firing": TypeAlertFiring, "update": TypeAlertUpdate, "resolved": TypeAlertResolved,
		"acknowledged": TypeAlertAcknowledged, "unacknowledged": TypeAlertUnacknowledged, "ack": TypeAck, "unack": TypeUnack,
	}
	got := map[string]string{}
	for channel := range at(t, doc, "channels") {
		for m := range at(t, doc, "channels", channel, "messages") {
			message := at(t, doc, "channels", channel, "messages", m)
			got[m] = message["name"].(string)
			payload := at(t, doc, "channels", channel, "messages", m, "payload")
			file := payload["schema"].(map[string]any)["$ref"]
			if want := "./" + channel + ".schema.json"; file != want {
				t.Errorf("message %s of channel %s has the schema %v", m, channel, file)
			}
			headers := at(t, doc, "channels", channel, "messages", m, "headers", "properties")
			if headers["Content-Type"].(map[string]any)["const"] != ContentType {
				t.Errorf("message %s has another Content-Type", m)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-types +document):\n%s", diff)
	}
}

// Every operation is on a channel, with all of its messages; every channel has
// one that sends and one that receives.
func TestAsyncAPIOperations(t *testing.T) {
	doc := readAsyncAPI(t)
	got := map[string][]string{}
	for name := range at(t, doc, "operations") {
		op := at(t, doc, "operations", name)
		ref := op["channel"].(map[string]any)["$ref"].(string)
		channel := strings.TrimPrefix(ref, "#/channels/")
		got[channel] = append(got[channel], op["action"].(string))
		var refs []string
		for _, m := range op["messages"].([]any) {
			refs = append(refs, strings.TrimPrefix(m.(map[string]any)["$ref"].(string), ref+"/messages/"))
		}
		slices.Sort(refs)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(at(t, doc, "channels", channel, "messages"))), refs); diff != "" {
			t.Errorf("messages of operation %s (-channel +operation):\n%s", name, diff)
		}
	}
	for channel := range at(t, doc, "channels") {
		slices.Sort(got[channel])
		if diff := cmp.Diff([]string{"receive", "send"}, got[channel]); diff != "" {
			t.Errorf("operations on %s (-want +got):\n%s", channel, diff)
		}
	}
}

func TestAsyncAPIExamples(t *testing.T) {
	doc := readAsyncAPI(t)
	n := 0
	for name := range at(t, doc, "components", "messages") {
		examples, _ := at(t, doc, "components", "messages", name)["examples"].([]any)
		for _, e := range examples {
			payload := e.(map[string]any)["payload"].(map[string]any)
			b, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			if refused := validate(t, payload["dataschema"].(string), b); refused != nil {
				t.Errorf("example of %s is refused for %q:\n%s", name, refused, b)
			}
			if headers, ok := e.(map[string]any)["headers"].(map[string]any); ok &&
				headers["Nats-Msg-Id"] != payload["id"] {
				t.Errorf("example of %s has the Nats-Msg-Id %v and the id %v", name, headers["Nats-Msg-Id"],
					payload["id"])
			}
			n++
		}
	}
	if n == 0 {
		t.Error("no message has an example")
	}
}
