package schematest

import (
	"bytes"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Fataler is a test: *testing.T, or that of package rapid.
type Fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// compiled are the schemas by the names of their files, formats such as date-time included.
var compiled = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	schemas := map[string]*jsonschema.Schema{}
	for _, name := range []string{"event", "snapshot", "bridge", "alert", "ack", "state"} {
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		c.AssertContent()
		s, err := c.Compile(schemaFile(name))
		if err != nil {
			return nil, err
		}
		schemas[name] = s
	}
	return schemas, nil
})

// schemaFile is the file of a schema: event.schema.json.
func schemaFile(name string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", name+".schema.json")
}

// Refused returns what the schema of a name ("event") refuses in a document: "location
// keyword", sorted; nothing if the document is valid.
func Refused(t Fataler, name string, document []byte) []string {
	t.Helper()
	schemas, err := compiled()
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}

	err = schemas[name].Validate(value)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		t.Fatalf("%s: %v", document, err)
	}
	return slices.Compact(slices.Sorted(slices.Values(leaves(invalid))))
}

func leaves(e *jsonschema.ValidationError) []string {
	if len(e.Causes) == 0 {
		keyword := strings.Join(e.ErrorKind.KeywordPath(), "/")
		switch e.ErrorKind.(type) {
		case *kind.Not:
			keyword = "not"
		case *kind.FalseSchema:
			keyword = "false"
		}
		return []string{"/" + strings.Join(e.InstanceLocation, "/") + " " + keyword}
	}
	var all []string
	for _, c := range e.Causes {
		all = append(all, leaves(c)...)
	}
	return all
}
