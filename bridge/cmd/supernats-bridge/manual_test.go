package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/section"
	"supernats/schema/schematest"
)

// Every call of the program in the manuals is one that it takes.
func TestManuals(t *testing.T) {
	p, err := commandLine().Parser(new(cli))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range schematest.Commands(t, "supernats-bridge") {
		if slices.Contains(c.Words, "--help") {
			continue
		}
		if _, err := p.Parse(c.Words[1:]); err != nil {
			t.Errorf("%s: %s: %v", c.File, strings.Join(c.Words, " "), err)
		}
	}
}

// The section in the manual is the first one that `conf` prints, without its comments.
func TestManualHasTheSection(t *testing.T) {
	var printed strings.Builder
	command := []string{"/usr/local/bin/supernats-bridge"}
	if err := section.Write(&printed, command, command, section.Options{}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(printed.String()) {
		if len(want) > 0 && strings.HasPrefix(line, "[") {
			break // the second section
		}
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, ";") {
			want = append(want, line)
		}
	}

	manuals := schematest.Manuals(t)
	i := slices.IndexFunc(manuals, func(m schematest.Manual) bool { return m.File == "bridge/README.md" })
	got := regexp.MustCompile("(?s)```ini\n(.*?)\n```").FindStringSubmatch(manuals[i].Text)[1]

	if d := cmp.Diff(want, strings.Split(got, "\n")); d != "" {
		t.Errorf("conf prints -, bridge/README.md has +:\n%s", d)
	}
}
