package schematest

import (
	"encoding/json"
	"maps"
	"strings"
)

// ExitedDocument is the message about an event, with all that a crash may have, as another
// program may write it.
const ExitedDocument = `{"specversion":"1.0","id":"web1/4f0c6d1e2a90b7c3/1234","source":"/supervisor/web1/supervisor",
		"type":"org.supervisord.process_state.exited","subject":"api:api_00","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:event:1","traceparent":"00-0af7-b7ad-01",
		"data":{"event":"PROCESS_STATE_EXITED","host":"web1","server":"supervisor","boot":"4f0c6d1e2a90b7c3",
		"serial":1234,"pool":"supernats","poolserial":1200,"group":"api","process":"api_00",
		"from_state":"RUNNING","expected":false,
		"pid":11167,"exit":{"code":3},"log":{"stderr":"a\n"}}}`

// Patch merges changes into a document as RFC 7396 says: null takes a member out.
func Patch(t Fataler, document, changes string) []byte {
	var doc, with map[string]any
	for s, to := range map[string]*map[string]any{document: &doc, changes: &with} {
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if err := d.Decode(to); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	merge(doc, with)
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

func merge(doc, with map[string]any) {
	for k, v := range with {
		into, isObject := doc[k].(map[string]any)
		m, ok := v.(map[string]any)
		switch {
		case v == nil:
			delete(doc, k)
		case ok && isObject:
			merge(into, m)
		case ok:
			doc[k] = maps.Clone(m)
		default:
			doc[k] = v
		}
	}
}
