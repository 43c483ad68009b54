package config

import (
	"encoding"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/config/strict"
	"supernats/consumer/rules"
)

const exampleFile = "../../examples/supernats.yaml"

var (
	// variables are those in the values of the example.
	variables = regexp.MustCompile(`\$?\$\{([^}]*)\}`)
	// setting is a key that is commented out: no space follows its '#'.
	setting = regexp.MustCompile(`(?m)^( *)#(\S)`)
	// alternative is one of several that exclude each other, but the first.
	alternative = regexp.MustCompile(`(?m)^.* # or\b.*\n`)
)

// example returns the text of the example file, and the same with everything in
// force.
func example(t *testing.T) (text, full string) {
	t.Helper()
	b, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range variables.FindAllStringSubmatch(string(b), -1) {
		t.Setenv(m[1], "x")
	}
	return string(b), setting.ReplaceAllString(string(b), "$1$2")
}

// leaves calls f with every key that can have a value, and what it is in v; lists
// have one entry.
func leaves(v reflect.Value, key string, f func(key string, v reflect.Value)) {
	text := reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	switch {
	case text:
		f(key, v)
	case v.Kind() == reflect.Pointer && v.IsNil():
		leaves(strict.New(v.Type().Elem()).Elem(), key, f)
	case v.Kind() == reflect.Pointer:
		leaves(v.Elem(), key, f)
	case v.Kind() == reflect.Struct:
		for name, field := range strict.Fields(v.Type()) {
			leaves(v.FieldByIndex(field.Index), strings.TrimPrefix(key+"."+name, "."), f)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		leaves(reflect.New(v.Type().Elem()).Elem(), key+"[]", f)
	default:
		f(key, v)
	}
}

var (
	index  = regexp.MustCompile(`\[\d+\]`)
	kindOf = regexp.MustCompile(`^receivers\[\]\.\w+\.`)
)

// The file as it is means the same as none, and shows every default.
func TestExampleIsTheDefault(t *testing.T) {
	text, _ := example(t)
	c := Default()
	f := decode(exampleFile, []byte(text), &c)
	if err := checkFile(f, &c, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), c); diff != "" {
		t.Errorf("(-default +example):\n%s", diff)
	}
	leaves(reflect.ValueOf(Default()), "", func(key string, v reflect.Value) {
		if section, _, _ := strings.Cut(key, "."); section == "mail" || strings.HasPrefix(key, "receivers") {
			return // commented out: see below
		}
		if !v.IsZero() && !f.Written(key) {
			t.Errorf("the default of %s is not shown: %v", key, v)
		}
	})
}

// Every key stands in it, and defaults of sections that are left out too.
func TestExampleHasEveryKey(t *testing.T) {
	_, full := example(t)
	c := Default()
	f := decode(exampleFile, []byte(full), &c)
	if err := f.Err(); err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for key := range f.Keys() {
		written[index.ReplaceAllString(key, "[]")] = true
	}
	got := map[string]any{}
	leaves(reflect.ValueOf(c), "", func(key string, v reflect.Value) { got[key] = v.Interface() })
	n := 0
	leaves(reflect.ValueOf(Default()), "", func(key string, v reflect.Value) {
		n++
		// Stands in the section mail, or, if it is of all receivers by HTTP, once.
		inherited := strings.HasPrefix(key, "receivers[].mail.") || written[kindOf.ReplaceAllString(key, "receivers[].webhook.")]
		if !written[key] && !inherited {
			t.Errorf("%s is not in %s", key, exampleFile)
		}
		if !v.IsZero() && !inherited && !strings.HasPrefix(key, "receivers[]") && !reflect.DeepEqual(v.Interface(), got[key]) {
			t.Errorf("%s is %v, the default is %v", key, got[key], v)
		}
	})
	if n < 60 {
		t.Errorf("only %d keys were looked at", n)
	}
	if diff := cmp.Diff(rules.Defaults(), c.Rules[:min(len(c.Rules), len(rules.Defaults()))]); diff != "" {
		t.Errorf("the first rules are not the default ones (-default +example):\n%s", diff)
	}
}

// With everything in force, one of each alternatives, it is valid.
func TestExampleIsValid(t *testing.T) {
	_, full := example(t)
	c := Default()
	f := decode(exampleFile, []byte(alternative.ReplaceAllString(full, "")), &c)
	if err := checkFile(f, &c, false); err != nil {
		t.Error(err)
	}
	// The section mail, and one receiver of each kind.
	if want := fmt.Sprintf("9 rules, %d receivers", 1+len(kindNames())); c.Summary() != want {
		t.Errorf("%s, want %s", c.Summary(), want)
	}
}
