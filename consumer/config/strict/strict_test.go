package strict_test

import (
	"encoding"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/config/strict"
)

// file has every type that may be in a file.
type file struct {
	Text    string            `yaml:"text"`
	Number  int8              `yaml:"number"`
	On      bool              `yaml:"on"`
	Span    span              `yaml:"span"`
	List    []string          `yaml:"list"`
	Names   names             `yaml:"names"`
	Labels  map[string]string `yaml:"labels"`
	Section *section          `yaml:"section"`
	Entries []section         `yaml:"entries"`
	Ignored string            `yaml:"-"`
}

type section struct {
	Host   string `yaml:"host"`
	Limits limits `yaml:",inline"`
}

type limits struct {
	Least int `yaml:"least"`
	Most  int `yaml:"most"`
}

func (s section) WithDefaults() section {
	s.Limits.Most = 10
	return s
}

// names may be written as one text.
type names []string

// span has a form of its own.
type span time.Duration

var _ encoding.TextUnmarshaler = (*span)(nil)

func (s *span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	*s = span(d)
	return err
}

func decode(text string) (file, *strict.File) {
	var into file
	f := strict.Decode("f.yaml", []byte(text), &into, strict.Options{
		TextOrList: []reflect.Type{reflect.TypeFor[names]()},
		Nearest: func(name string, known []string) string {
			if name == "txet" {
				return "text"
			}
			return ""
		},
	})
	return into, f
}

func TestDecode(t *testing.T) {
	t.Setenv("HOST", "web1")
	got, f := decode(`
x-common: &common {most: 5, least: 2}
text: ${HOST}
number: -7
on: true
span: 90s
list: [a, b]
names: one
labels: {team: web}
section: {host: h}
entries:
- <<: *common
  least: 1
-
  host: "${HOST}:1"
`)
	if err := f.Err(); err != nil {
		t.Fatal(err)
	}
	want := file{
		Text: "web1", Number: -7, On: true, Span: span(90 * time.Second), List: []string{"a", "b"}, Names: names{"one"},
		Labels:  map[string]string{"team": "web"},
		Section: &section{Host: "h", Limits: limits{Most: 10}},
		Entries: []section{{Limits: limits{Least: 1, Most: 5}}, {Host: "web1:1"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Mistakes of every kind are reported in one run, in the order of the file.
func TestEveryMistakeHasItsPlace(t *testing.T) {
	_, f := decode(`txet: x
number: 300
on: maybe
span: soon
list: a
labels: [a]
section:
  host: [a]
  port: 1
entries:
- {host: ${UNSET}}
- host: "a
- {host: b, host: c}
number: 1
`)
	want := []string{
		`f.yaml:1:1: unknown key "txet": want one of entries, labels, list, names, number, on, section, span, text; did you mean text?`,
		`f.yaml:2:9: number: invalid value "300": want a number up to 127`,
		`f.yaml:3:5: on: found string, want true or false`,
		`f.yaml:4:7: span: time: invalid duration "soon"`,
		`f.yaml:5:7: list: found string, want a list: [a, b]`,
		`f.yaml:6:9: labels: found sequence, want a mapping: {name: text}`,
		`f.yaml:8:9: section.host: found sequence, want a text`,
		`f.yaml:9:3: unknown key "section.port": want one of host, least, most`,
	}
	got := strings.Split(f.Err().Error(), "\n")
	if d := cmp.Diff(want, got[:min(len(got), len(want))]); d != "" {
		t.Errorf("(-want +got) %s", d)
	}
	if !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "f.yaml:12:") }) {
		t.Errorf("the text without an end is not reported: %q", got)
	}
}

// What is found later has the place of its key, or of the section around it, and is left
// out where it only follows from another mistake.
func TestAddPlacesKeyErrors(t *testing.T) {
	_, f := decode("section:\n  host: h\nspan: soon\n")
	if !f.Has("section") || !f.Written("section.host") || f.Has("text") || !slices.Equal(slices.Collect(f.FailedKeys()), []string{"span"}) {
		t.Errorf("keys %q, failed %q", slices.Collect(f.Keys()), slices.Collect(f.FailedKeys()))
	}

	f.Add([]*strict.KeyError{
		{Path: "section", Err: errors.New("host: unknown\n  (see the manual)\nleast: missing")},
		{Path: "span", Err: errors.New("below zero")},
		{Path: "nowhere.at.all", Err: errors.New("missing")},
	})
	const want = `f.yaml: nowhere.at.all: missing
f.yaml:1:1: section: least: missing
f.yaml:2:9: section.host: unknown
  (see the manual)
f.yaml:3:7: span: time: invalid duration "soon"`
	if got := sorted(f.Err()); got != sorted(errors.New(want)) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// sorted returns an error with its lines in order: those without a place may be anywhere.
func sorted(err error) string {
	lines := strings.Split(strings.ReplaceAll(err.Error(), "\n  (", "  ("), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
