package programtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"supernats/schema/program/manpage"
)

// overstrike is how a terminal of paper prints bold letters.
var overstrike = regexp.MustCompile(`.\x08`)

// CheckManual writes the pages of a manual, has mandoc find what is wrong with them, and
// checks that each command, flag, variable and example is on the page that it belongs to.
func CheckManual(t *testing.T, m *manpage.Manual) {
	t.Helper()
	dir := t.TempDir()
	files, err := m.WriteTo(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range m.SeeAlso { // mandoc looks for what pages refer to
		if err := os.WriteFile(filepath.Join(dir, other+".1"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lint := exec.Command("mandoc", append([]string{"-T", "lint"}, files...)...)
	lint.Dir = dir
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc -T lint: %v (on Debian: sudo apt-get install mandoc)\n%s", err, out)
	}

	pages := map[string]string{}
	for _, file := range files {
		out, err := exec.Command("mandoc", "-T", "ascii", "-O", "width=400", file).Output()
		if err != nil {
			t.Fatalf("mandoc %s: %v", file, err)
		}
		pages[strings.TrimSuffix(filepath.Base(file), ".1")] = overstrike.ReplaceAllString(string(out), "")
	}

	checkPage(t, pages, m.Model.Name, m.Model.Flags, m.Examples(m.Model.Node))
	for _, leaf := range m.Model.Leaves(true) {
		command := leaf
		for command.Parent != m.Model.Node {
			command = command.Parent
		}
		checkPage(t, pages, m.Model.Name+"-"+command.Name, leaf.Flags, m.Examples(leaf))
		if !strings.Contains(pages[m.Model.Name], m.Model.Name+"-"+command.Name+"(1)") {
			t.Errorf("the page of %s does not name %s", m.Model.Name, command.Name)
		}
	}
}

func checkPage(t *testing.T, pages map[string]string, name string, flags []*kong.Flag, examples []string) {
	t.Helper()
	page := pages[name]
	missing := func(text string) {
		if !strings.Contains(page, text) {
			t.Errorf("no %q on the page %s:\n%s", text, name, page)
		}
	}
	for _, section := range []string{
		"NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO",
	} {
		missing("\n" + section + "\n")
	}
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		missing("--" + f.Name)
		if len(f.Envs) > 0 && f.Envs[0] != "-" {
			missing(f.Envs[0])
		}
	}
	for _, e := range examples {
		missing(e + "\n")
	}
}
