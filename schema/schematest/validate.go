package schematest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Validate checks a record against the JSON Schema of a name, as in event.schema.json.
func Validate(tb testing.TB, name string, record any) {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "..", name+".schema.json")
	file, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()

	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		tb.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(path, doc); err != nil {
		tb.Fatal(err)
	}

	b, err := json.Marshal(record)
	if err != nil {
		tb.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		tb.Fatal(err)
	}
	if err := compiler.MustCompile(path).Validate(instance); err != nil {
		tb.Errorf("%s: %v", b, err)
	}
}
