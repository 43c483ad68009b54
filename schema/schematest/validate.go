package schematest

import (
	"encoding/json"
	"testing"
)

// Validate checks a record against the JSON Schema of a name, as in event.schema.json.
func Validate(tb testing.TB, name string, record any) {
	tb.Helper()
	b, err := json.Marshal(record)
	if err != nil {
		tb.Fatal(err)
	}
	if refused := Refused(tb, name, b); refused != nil {
		tb.Errorf("%s: refused are %q", b, refused)
	}
}
