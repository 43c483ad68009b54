// Package manpage writes the manual pages of a program in mdoc(7), from the same model of
// commands and flags that its --help shows.
//
// The program has a page, and so has each of its commands: supernats.1, supernats-ps.1. The
// flags of every command are explained in the program's.
package manpage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Manual is what pages are made of.
type Manual struct {
	Model *kong.Application
	// Examples returns those of a command; of the program's model itself, those of the
	// program.
	Examples func(node *kong.Node) []string
	// Files are those that the program reads and writes, each with what it is.
	Files [][2]string
	// Exits are its exit codes, in words, from 0 on.
	Exits []string
	// SeeAlso are other programs.
	SeeAlso []string
	// Date is that of the pages, the build's if it is zero.
	Date time.Time
}

// Page is one manual page.
type Page struct {
	// File is its name: supernats-ps.1.
	File string
	Text string
}

// Pages returns all pages: the program's, and one for each command.
func (m *Manual) Pages() []Page {
	if m.Date.IsZero() {
		m.Date = buildDate()
	}
	pages := []Page{m.programPage()}
	for _, c := range m.commands() {
		pages = append(pages, m.commandPage(c))
	}
	return pages
}

// WriteTo writes all pages into a directory that exists, and returns their files.
func (m *Manual) WriteTo(dir string) (files []string, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: create it with mkdir -p", err)
	}
	for _, p := range m.Pages() {
		file := filepath.Join(dir, p.File)
		if err := os.WriteFile(file, []byte(p.Text), 0o644); err != nil {
			return files, fmt.Errorf("write a manual page: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}

// buildDate is when the commit was made from which the program was built, now if that is
// not known.
func buildDate() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t
			}
		}
	}
	return time.Now()
}

// commands are those of the program that people see.
func (m *Manual) commands() []*kong.Node {
	return slices.DeleteFunc(slices.Clone(m.Model.Children), func(n *kong.Node) bool { return n.Hidden })
}

func (m *Manual) programPage() Page {
	name := m.Model.Name
	p := m.begin(name, m.Model.Help)

	p.section("SYNOPSIS")
	p.macro("Nm")
	p.macro(`Op Ar flags`)
	if m.Model.DefaultCmd != nil {
		p.macro("Op Ar command")
	} else {
		p.macro("Ar command")
	}
	p.section("DESCRIPTION")
	p.text(m.Model.Help)
	p.section("COMMANDS")
	p.macro("Bl -tag -width Ds")
	for _, c := range m.commands() {
		p.macro("It Xr " + name + "-" + c.Name + " 1")
		p.text(c.Help)
	}
	p.macro("El")

	p.section("OPTIONS")
	p.options(m.Model.Flags)
	m.end(p, m.Model.Flags, m.Examples(m.Model.Node))
	p.section("SEE ALSO")
	var pages []string
	for _, c := range m.commands() {
		pages = append(pages, name+"-"+c.Name)
	}
	p.references(append(pages, m.SeeAlso...))
	return Page{File: name + ".1", Text: p.String()}
}

func (m *Manual) commandPage(command *kong.Node) Page {
	name := m.Model.Name + "-" + command.Name
	p := m.begin(name, command.Help)
	leaves := slices.DeleteFunc(command.Leaves(true), func(n *kong.Node) bool { return n.Hidden })
	if command.Leaf() {
		leaves = []*kong.Node{command}
	}

	p.section("SYNOPSIS")
	for _, leaf := range leaves {
		p.synopsis(m.written(leaf), leaf)
	}
	p.section("DESCRIPTION")
	p.text(command.Help)
	for _, leaf := range leaves {
		if len(leaves) > 1 {
			p.macro("Ss " + quoted(m.written(leaf)))
			p.text(leaf.Help)
		}
		p.arguments(leaf.Positional)
		p.options(leaf.Flags)
	}
	p.macro("Pp")
	p.text("The flags of every command are explained in")
	p.macro("Xr " + m.Model.Name + " 1 .")

	var examples []string
	var flags []*kong.Flag
	for _, leaf := range leaves {
		flags = append(flags, leaf.Flags...)
		examples = append(examples, m.Examples(leaf)...)
	}
	m.end(p, flags, examples)
	p.section("SEE ALSO")
	p.references([]string{m.Model.Name})
	return Page{File: name + ".1", Text: p.String()}
}

// written is how a command is called. The one that needs no name is called by that of its
// parent.
func (m *Manual) written(leaf *kong.Node) string {
	path := leaf.Path()
	if leaf.Parent != nil && leaf.Parent.DefaultCmd == leaf {
		path = strings.TrimSuffix(path, " "+leaf.Name)
	}
	return strings.TrimPrefix(m.Model.Name+" "+path, m.Model.Name+" "+m.Model.Name+" ")
}

// begin writes what a page begins with.
func (m *Manual) begin(name, summary string) *page {
	p := &page{}
	p.macro("Dd " + m.Date.UTC().Format("January 2, 2006"))
	p.macro("Dt " + strings.ToUpper(name) + " 1")
	p.macro("Os")
	p.section("NAME")
	p.macro("Nm " + name)
	first, _, _ := strings.Cut(summary, ". ")
	p.macro("Nd " + quotedWords(strings.TrimSuffix(first, ".")))
	return p
}

// end writes what is alike on all pages.
func (m *Manual) end(p *page, flags []*kong.Flag, examples []string) {
	p.environment(flags)
	if len(m.Files) > 0 {
		p.section("FILES")
		p.macro("Bl -tag -width Ds")
		for _, f := range m.Files {
			p.macro("It Pa " + f[0])
			p.text(f[1])
		}
		p.macro("El")
	}
	p.section("EXIT STATUS")
	p.macro("Bl -tag -width Ds")
	for code, text := range m.Exits {
		p.macro(fmt.Sprint("It ", code))
		p.text(text)
	}
	p.macro("El")
	if len(examples) > 0 {
		p.section("EXAMPLES")
		p.literal(examples)
	}
}
