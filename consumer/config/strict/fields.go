package strict

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Fields returns the keys that a struct allows, with their fields; a field's index leads
// through the sections that are inline.
func Fields(t reflect.Type) map[string]reflect.StructField {
	keys := map[string]reflect.StructField{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			for n, inner := range Fields(f.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				keys[n] = inner
			}
		case name != "" && name != "-":
			keys[name] = f
		}
	}
	return keys
}

// KeyNames returns the keys that a struct allows, sorted.
func KeyNames(t reflect.Type) []string { return slices.Sorted(maps.Keys(Fields(t))) }

// New returns a pointer to a value with its defaults (the method WithDefaults of the type)
// or to a zero value, so that `timeout: 0s` in the file is seen.
func New(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if m := p.MethodByName("WithDefaults"); m.IsValid() && m.Type().NumOut() == 1 && m.Type().Out(0) == t {
		p.Elem().Set(m.Call(nil)[0])
	}
	return p
}

// Below returns the path of a key in a section.
func Below(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}
