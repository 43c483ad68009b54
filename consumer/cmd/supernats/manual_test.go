package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"supernats/schema/schematest"
)

// Every call of the program in the manuals is one that it takes.
func TestManuals(t *testing.T) {
	p := parserOf(t)
	for _, c := range schematest.Commands(t, "supernats") {
		if len(c.Words) == 1 || slices.Contains(c.Words, "·") || slices.Contains(c.Words, "--help") {
			continue // the program's name, or a picture
		}
		if _, err := p.Parse(c.Words[1:]); err != nil && !leads(p, c.Words[1:]) {
			t.Errorf("%s: %s: %v", c.File, strings.Join(c.Words, " "), err)
		}
	}
}

// leads reports whether words name a command, which may need more.
func leads(p *kong.Kong, words []string) bool {
	for _, leaf := range p.Model.Leaves(true) {
		if strings.HasPrefix(leaf.FullPath()+" ", "supernats "+strings.Join(words, " ")+" ") {
			return true
		}
	}
	return false
}
