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
	ValidateDocument(tb, name, b)
}

// ValidateDocument checks a document against the JSON Schema of a name.
func ValidateDocument(tb testing.TB, name string, document []byte) {
	tb.Helper()
	if refused := Refused(tb, name, document); refused != nil {
		tb.Errorf("%.4000s: the schema refuses %q", document, refused)
	}
}
