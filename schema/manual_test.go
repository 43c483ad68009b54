package schema_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"supernats/schema/schematest"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noWord  = regexp.MustCompile(`[^\pL\pN _-]`)
)

// Every link of a manual leads to a file, and to a heading in it.
func TestLinks(t *testing.T) {
	root := schematest.Root(t)
	anchors := map[string][]string{}
	for _, m := range schematest.Manuals(t) {
		for _, h := range heading.FindAllStringSubmatch(m.Text, -1) {
			anchor := strings.ReplaceAll(noWord.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")
			anchors[m.File] = append(anchors[m.File], anchor)
		}
	}
	for _, m := range schematest.Manuals(t) {
		for _, l := range link.FindAllStringSubmatch(m.Text, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(l[1], "#")
			file := m.File
			if path != "" {
				file = filepath.Join(filepath.Dir(m.File), path)
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: link to %s: %v", m.File, l[1], err)
			}
			if anchor != "" && !slices.Contains(anchors[file], anchor) {
				t.Errorf("%s: link to %s: no such heading", m.File, l[1])
			}
		}
	}
}

// README fits on a few screens, and every task that a manual calls is there.
func TestManuals(t *testing.T) {
	root := schematest.Root(t)
	tasks, err := os.ReadFile(filepath.Join(root, "Taskfile.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range schematest.Manuals(t) {
		if n := strings.Count(m.Text, "\n"); m.File == "README.md" && n > 220 {
			t.Errorf("README.md has %d lines, want at most 220", n)
		}
	}
	for _, c := range schematest.Commands(t, "go") {
		if i := slices.Index(c.Words, "task"); i >= 0 && i+1 < len(c.Words) &&
			!strings.Contains(string(tasks), "\n  "+c.Words[i+1]+":\n") {
			t.Errorf("%s: %s: no such task", c.File, strings.Join(c.Words, " "))
		}
	}
}
