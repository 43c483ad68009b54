package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"supernats/schema/program"
)

// parserOf is the parser of the program, without its exits.
func parserOf(t *testing.T) *kong.Kong {
	t.Helper()
	p, err := commandLine().Parser(new(cli))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every command shows two examples at least, which are right.
func TestExamples(t *testing.T) {
	p := parserOf(t)
	for _, leaf := range p.Model.Leaves(true) {
		list := examplesOf(leaf)
		if len(list) < 2 {
			t.Errorf("%s has %d examples, want 2", leaf.Path(), len(list))
		}
		out, _, code := supernats(t, append(strings.Fields(leaf.Path()), "--help")...)
		if code != program.ExitDone {
			t.Errorf("%s: %d", leaf.Path(), code)
		}
		for _, e := range list {
			if !strings.Contains(out, "\n  "+e+"\n") {
				t.Errorf("%s --help does not show %s:\n%s", leaf.Path(), e, out)
			}
			line, _, _ := strings.Cut(e, " > ")
			line = strings.ReplaceAll(line, "2026-", "2999-")
			if slices.Contains(strings.Fields(line), "--version") {
				continue
			}
			if _, err := p.Parse(words(line)[1:]); err != nil {
				t.Errorf("%s: %v", e, err)
			}
		}
	}
}

// words divides a line as a shell does, as far as the examples need it.
func words(line string) (list []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			list = append(list, part)
		} else {
			list = append(list, strings.Fields(part)...)
		}
	}
	return list
}

// The flags of the connection are one line in the help of a command, and all in that
// of the program, after the commands.
func TestHelpOfCommands(t *testing.T) {
	for _, leaf := range parserOf(t).Model.Leaves(true) {
		out, _, _ := supernats(t, append(strings.Fields(leaf.Path()), "--help")...)
		if strings.Count(out, "--nats-") != 2 || !strings.Contains(out, "\nConnection flags (--nats-url, …, --nats-tls-first): supernats --help\n") {
			t.Errorf("%s", out)
		}
		own, general := strings.Index(out, "\nFlags:\n"), strings.Index(out, "\nGeneral flags:\n")
		if general < 0 || own > general {
			t.Errorf("%s: its own flags are at %d, the general ones at %d", leaf.Path(), own, general)
		}
		for _, f := range leaf.Flags {
			if f.HasDefault && f.Default != "" && !f.IsBool() && !strings.Contains(out, "(default: ") {
				t.Errorf("%s --%s: no default in %s", leaf.Path(), f.Name, out)
			}
		}
	}
	for _, words := range []string{"help", "help ps", "help rules check"} {
		want, _, _ := supernats(t, append(strings.Fields(words)[1:], "--help")...)
		if out, errs, code := supernats(t, strings.Fields(words)...); code != program.ExitDone || errs != "" || out != want {
			t.Errorf("%s: %d %s%s", words, code, out, errs)
		}
	}
	out, _, _ := supernats(t, "--help")
	commands, connection := strings.Index(out, "\nCommands:\n"), strings.Index(out, "\nConnection flags, of every command:\n")
	if commands < 0 || connection < commands || strings.Contains(out[:commands], "--nats-") {
		t.Errorf("%s", out)
	}
}
