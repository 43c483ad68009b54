package api

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"supernats/consumer/history"
)

// bookkeeping are fields of the record of an alert that are for the consumer alone.
var bookkeeping = []string{
	"again", "answers", "clock", "due", "earlier", "first_seq", "graced", "heard_since", "held_until", "hold", "last_seq",
	"matched", "once", "prior", "ran", "reopened", "reported", "runs", "unlisted", "unsent", "unsent_states", "updates",
	"well_since",
}

// jsonFields adds the names that a struct has in JSON.
func jsonFields(t reflect.Type, into map[string]bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Pointer:
			jsonFields(f.Type.Elem(), into)
		case f.Anonymous && name == "":
			jsonFields(f.Type, into)
		case name != "-":
			into[name] = true
		}
	}
}

// openapi.json has every field that an answer may have, and none that it never has.
func TestEveryFieldIsDescribed(t *testing.T) {
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(openAPI, &document); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"Process": process{}, "Host": host{}, "Alert": alert{}, "Event": history.StoredEvent{},
		"Status": Status{}, "Totals": totals{},
	} {
		answered := map[string]bool{}
		jsonFields(reflect.TypeOf(value), answered)
		if name == "Process" || name == "Host" {
			answered["status"] = true // of an answer about one
		}
		described := document.Components.Schemas[name].Properties
		for _, field := range slices.Sorted(maps.Keys(answered)) {
			if described[field] == nil && !(name == "Alert" && slices.Contains(bookkeeping, field)) {
				t.Errorf("%s: %s is not described", name, field)
			}
		}
		for field := range described {
			if !answered[field] {
				t.Errorf("%s: %s is described, and no answer has it", name, field)
			}
		}
	}
}
