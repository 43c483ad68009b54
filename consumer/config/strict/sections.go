package strict

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A file with a syntax error is read again section by section, and a list within a
// section entry by entry. Each part is parsed at its place in the file, with empty lines
// before it, so that positions stay those of the file.

// lines are some lines of a file.
type lines struct {
	first int // the number of the first one, from 1
	text  []string
}

// padded returns the lines at their place in the file.
func (l lines) padded() string {
	return strings.Repeat("\n", l.first-1) + strings.Join(l.text, "\n") + "\n"
}

var (
	// topLevel is a line that begins a section.
	topLevel = regexp.MustCompile(`^[^\s#\-\[\]{}>|%&*!][^:]*:(\s|$)`)
	// listHeader is the first line of a section whose entries are on lines of their own.
	listHeader = regexp.MustCompile(`^([^:]+):\s*(#.*)?$`)
	ignored    = regexp.MustCompile(`^\s*(#.*)?$`)
	listEntry  = regexp.MustCompile(`^ *- `)
)

func isIgnored(line string) bool { return ignored.MatchString(line) }

// divide returns the sections of a file, and what stands before the first.
func divide(text string) []lines {
	sections := []lines{{first: 1}}
	for i, line := range strings.Split(text, "\n") {
		if topLevel.MatchString(line) {
			sections = append(sections, lines{first: i + 1})
		}
		last := &sections[len(sections)-1]
		last.text = append(last.text, line)
	}

	isEmpty := func(l string) bool { return isIgnored(l) || l == "---" }
	if !slices.ContainsFunc(sections[0].text, func(l string) bool { return !isEmpty(l) }) {
		sections = sections[1:]
	}
	return sections
}

// parseSection parses one section. Of a list with a syntax error in an entry the others are
// read all the same.
func (p *yamlParser) parseSection(s lines) (ast.Node, bool) {
	body, err := p.parseDocument(s.padded())
	if err == nil {
		return body, true
	}

	name, _, _ := strings.Cut(s.text[0], ":")
	name = strings.Trim(name, ` "'`)
	p.broken = true

	if odd, spaced := p.replaceIndentation(s); odd {
		if body, err = p.parseDocument(spaced.padded()); err != nil {
			p.file.failed[name] = true
		}
		return body, err == nil
	}
	if body, ok := p.parseEntries(s, name); ok {
		return body, true
	}
	p.syntaxError(err)
	p.file.failed[name] = true
	return nil, false
}

// parseEntries parses a list entry by entry: one with a syntax error is reported and left out.
// It returns false if the section is no list, or if each entry is right by itself.
func (p *yamlParser) parseEntries(s lines, name string) (ast.Node, bool) {
	list, ok := listEntries(s)
	if !ok {
		return nil, false
	}

	rest := slices.Clone(s.text)
	found := false
	for i, e := range list {
		err := parseEntry(s, e)
		if err == nil {
			continue
		}
		found = true
		p.syntaxError(err)
		p.file.failed[fmt.Sprintf("%s[%d]", name, i)] = true

		// An empty entry stays, so that the others keep their numbers.
		at := e.first - s.first
		for j := range e.text {
			rest[at+j] = ""
		}
		indent, _, _ := strings.Cut(e.text[0], "-")
		rest[at] = indent + "- {}"
	}
	if !found {
		return nil, false
	}

	body, err := p.parseDocument(lines{s.first, rest}.padded())
	if err != nil {
		p.file.failed[name] = true
	}
	return body, true
}

// listEntries returns the entries of a section that is a list on lines of their own.
func listEntries(s lines) (list []lines, ok bool) {
	first := slices.IndexFunc(s.text[1:], func(l string) bool { return !isIgnored(l) }) + 1
	if first == 0 || !listHeader.MatchString(s.text[0]) || !listEntry.MatchString(s.text[first]) {
		return nil, false
	}

	indent, _, _ := strings.Cut(s.text[first], "-")
	for i, line := range s.text[first:] {
		if strings.HasPrefix(line, indent+"- ") {
			list = append(list, lines{first: s.first + first + i})
		}
		last := &list[len(list)-1]
		last.text = append(last.text, line)
	}
	return list, true
}

// parseEntry parses a list that has one entry, at its place.
func parseEntry(s, entry lines) error {
	text := []string{s.text[0]}
	text = append(text, make([]string, entry.first-s.first-1)...)
	text = append(text, entry.text...)
	_, err := parser.ParseBytes([]byte(lines{s.first, text}.padded()), 0, parser.AllowDuplicateMapKey())
	return err
}

const (
	// foreignSpaces look like spaces, or like nothing.
	foreignSpaces = "\t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u3000\ufeff"
	foreignFound  = "found %s in the indentation, want spaces"
)

var (
	oddIndent = regexp.MustCompile("^ *([" + foreignSpaces + "])[ " + foreignSpaces + "]*[^\\s#]")
	blankTabs = regexp.MustCompile(`(?m)^ *\t[ \t]*$`)
)

// replaceIndentation reports the lines of a section that are indented by something else than
// spaces, and returns them with spaces.
func (p *yamlParser) replaceIndentation(s lines) (odd bool, spaced lines) {
	spaced = lines{s.first, slices.Clone(s.text)}
	for i, line := range s.text {
		found := oddIndent.FindStringSubmatchIndex(line)
		if found == nil {
			continue
		}
		odd = true
		p.file.fail(placeOf(s.first+i, found[2]+1), "", foreignFound, firstCharacter(line[found[2]:]))

		// One space for each character, so that columns stay what they are.
		text := strings.TrimLeft(line, " "+foreignSpaces)
		width := utf8.RuneCountInString(line) - utf8.RuneCountInString(text)
		spaced.text[i] = strings.Repeat(" ", width) + text
	}
	return odd, spaced
}

// firstCharacter names the first character of a text.
func firstCharacter(text string) string {
	r, _ := utf8.DecodeRuneInString(text)
	if r == '\t' {
		return "a tab"
	}
	return fmt.Sprintf("the character %U", r)
}
