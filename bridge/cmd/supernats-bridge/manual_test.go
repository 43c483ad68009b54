package main

import (
	"slices"
	"strings"
	"testing"

	"supernats/schema/schematest"
)

// Every call of the program in the manuals is one that it takes.
func TestManuals(t *testing.T) {
	for _, c := range schematest.Commands(t, "supernats-bridge") {
		if slices.Contains(c.Words, "--help") {
			continue
		}
		p, err := commandLine().Parser(new(cli))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Parse(c.Words[1:]); err != nil {
			t.Errorf("%s: %s: %v", c.File, strings.Join(c.Words, " "), err)
		}
	}
}
