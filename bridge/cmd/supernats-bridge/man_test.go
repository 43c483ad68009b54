package main

import (
	"testing"

	"supernats/schema/program/programtest"
)

func TestManualPages(t *testing.T) {
	p, err := commandLine().Parser(new(cli))
	if err != nil {
		t.Fatal(err)
	}
	programtest.CheckManual(t, manual(p.Model))
}
