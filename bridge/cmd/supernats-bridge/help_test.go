package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// help returns what is printed for some words.
func help(t *testing.T, words ...string) string {
	t.Helper()
	p, err := commandLine().Parser(new(cli))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p.Stdout = &out
	_, _ = p.Parse(append(words, "--help"))
	return out.String()
}

// Every command shows two examples that are right, and the flags of the connection
// last, folded in the help of a command.
func TestHelp(t *testing.T) {
	p, err := commandLine().Parser(new(cli))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{""}
	for _, leaf := range p.Model.Leaves(true) {
		names = append(names, leaf.Name)
	}
	for _, name := range names {
		out := help(t, strings.Fields(name)...)
		if len(examples[name]) < 2 {
			t.Errorf("%q has %d examples, want 2", name, len(examples[name]))
		}
		for _, e := range examples[name] {
			if !strings.Contains(out, "\n  "+e+"\n") {
				t.Errorf("%s is not in %s", e, out)
			}
			line, _, _ := strings.Cut(e, " > ")
			p, err := commandLine().Parser(new(cli))
			if err != nil {
				t.Fatal(err)
			}
			if words := strings.Fields(line); strings.HasPrefix(words[1], "--") && words[1] != "--version" {
				t.Errorf("%s: in a shell only supernats-bridge with a command works", e)
			}
			if words := strings.Fields(line); !slices.Contains(words, "--version") {
				if _, err := p.Parse(words[1:]); err != nil {
					t.Errorf("%s: %v", e, err)
				}
			}
		}
		folded := strings.Contains(out, "\nConnection flags (--nats-url, …, --nats-tls-first): supernats-bridge --help\n")
		if folded != (name != "") || name == "" &&
			strings.Index(out, "\nConnection flags:\n") < strings.Index(out, "\nFlags of the bridge:\n") {
			t.Errorf("%s", out)
		}
		if name != "version" && !strings.Contains(out, "(default: 1GiB)") {
			t.Errorf("no default in %s", out)
		}
	}
}
