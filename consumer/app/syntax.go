package app

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parse reads a document as far as it can be read. A section with a syntax error is
// left out with its mistake and hides none of the others. The result is nil for an
// empty file.
func (d *decoder) parse(text []byte) ast.Node {
	clean := d.characters(text)
	whole, err := d.document(clean)
	if err == nil {
		return whole
	}

	var pairs []*ast.MappingValueNode
	for _, s := range divide(clean) {
		body, ok := d.section(s)
		if own, is := pairsOf(body); is && ok {
			pairs = append(pairs, own...)
		}
	}
	if len(d.mistakes) == 0 { // each section is right by itself
		d.syntax(err)
	}
	if len(pairs) == 0 {
		return nil
	}
	return ast.Mapping(pairs[0].Start, false, pairs...)
}

// characters returns a text of UTF-8 with LF at the ends of lines, whatever the editor
// wrote: no line or column becomes another one by that.
func (d *decoder) characters(text []byte) string {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) || bytes.IndexByte(text, 0) == 1 {
		d.fail(nil, "", "found UTF-16, want UTF-8: save the file as UTF-8")
		return ""
	}
	s := strings.TrimPrefix(string(text), "\ufeff")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	s = blankTabs.ReplaceAllString(s, "") // the parser takes them for an indentation
	if utf8.ValidString(s) {
		return s
	}
	for i, line := range strings.Split(s, "\n") {
		for column, r := range line {
			if _, width := utf8.DecodeRuneInString(line[column:]); r == utf8.RuneError && width == 1 {
				d.fail(yamlPlace(i+1, column+1), "", "found the byte 0x%02x, want UTF-8: save the file as UTF-8", line[column])
				break
			}
		}
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// document parses one text, in which lines before it may be empty. What the parser
// passes over without a word is refused.
func (d *decoder) document(text string) (ast.Node, error) {
	f, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}
	d.refuse(text)
	if len(f.Docs) == 0 || f.Docs[0].Body == nil || f.Docs[0].Body.Type() == ast.NullType {
		return nil, nil
	}
	ast.Walk(d, f.Docs[0].Body)
	return f.Docs[0].Body, nil
}

// part is some lines of a file, of which the first has a number.
type part struct {
	line  int
	lines []string
}

// padded returns the part at its place in the file.
func (p part) padded() string {
	return strings.Repeat("\n", p.line-1) + strings.Join(p.lines, "\n") + "\n"
}

var (
	// topLevel is a line that begins a section.
	topLevel = regexp.MustCompile(`^[^\s#\-\[\]{}>|%&*!][^:]*:(\s|$)`)
	// listHeader is the first line of a section whose entries are on lines of their own.
	listHeader = regexp.MustCompile(`^([^:]+):\s*(#.*)?$`)
	ignored    = regexp.MustCompile(`^\s*(#.*)?$`)
	listEntry  = regexp.MustCompile(`^ *- `)
)

// divide returns the sections of a file, and what stands before the first.
func divide(text string) []part {
	parts := []part{{line: 1}}
	for i, line := range strings.Split(text, "\n") {
		if topLevel.MatchString(line) {
			parts = append(parts, part{line: i + 1})
		}
		last := &parts[len(parts)-1]
		last.lines = append(last.lines, line)
	}
	if !slices.ContainsFunc(parts[0].lines, func(l string) bool { return !ignored.MatchString(l) && l != "---" }) {
		parts = parts[1:]
	}
	return parts
}

// section parses one section. Of a list with a syntax error in an entry the others are
// read all the same.
func (d *decoder) section(s part) (ast.Node, bool) {
	body, err := d.document(s.padded())
	if err == nil {
		return body, true
	}
	name, _, _ := strings.Cut(s.lines[0], ":")
	name = strings.Trim(name, ` "'`)
	d.broken = true

	if odd, spaced := d.indentation(s); odd {
		if body, err = d.document(spaced.padded()); err != nil {
			d.failed[name] = true
		}
		return body, err == nil
	}
	if body, ok := d.entries(s, name); ok {
		return body, true
	}
	d.syntax(err)
	d.failed[name] = true
	return nil, false
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

// indentation reports the lines of a section that are indented by something else than
// spaces, and returns them with spaces.
func (d *decoder) indentation(s part) (odd bool, spaced part) {
	spaced = part{s.line, slices.Clone(s.lines)}
	for i, line := range s.lines {
		found := oddIndent.FindStringSubmatchIndex(line)
		if found == nil {
			continue
		}
		odd = true
		d.fail(yamlPlace(s.line+i, found[2]+1), "", foreignFound, foreign(line[found[2]:]))
		text := strings.TrimLeft(line, " "+foreignSpaces)
		// One for each, so that columns stay what they are.
		width := utf8.RuneCountInString(line) - utf8.RuneCountInString(text)
		spaced.lines[i] = strings.Repeat(" ", width) + text
	}
	return odd, spaced
}

// foreign names the first character of a text.
func foreign(text string) string {
	r, _ := utf8.DecodeRuneInString(text)
	if r == '\t' {
		return "a tab"
	}
	return fmt.Sprintf("the character %U", r)
}

// entries parses a list entry by entry: one with a syntax error is left out.
func (d *decoder) entries(s part, name string) (ast.Node, bool) {
	first := slices.IndexFunc(s.lines[1:], func(l string) bool { return !ignored.MatchString(l) }) + 1
	if first == 0 || !listHeader.MatchString(s.lines[0]) || !listEntry.MatchString(s.lines[first]) {
		return nil, false
	}
	indent, _, _ := strings.Cut(s.lines[first], "-")
	var list []part
	for i, line := range s.lines[first:] {
		if strings.HasPrefix(line, indent+"- ") {
			list = append(list, part{line: s.line + first + i})
		}
		last := &list[len(list)-1]
		last.lines = append(last.lines, line)
	}

	rest, found := slices.Clone(s.lines), false
	for i, e := range list {
		lines := append([]string{s.lines[0]}, make([]string, e.line-s.line-1)...)
		_, err := parser.ParseBytes([]byte(part{s.line, append(lines, e.lines...)}.padded()), 0, parser.AllowDuplicateMapKey())
		if err == nil {
			continue
		}
		found = true
		d.syntax(err)
		d.failed[fmt.Sprintf("%s[%d]", name, i)] = true
		for j := range e.lines {
			rest[e.line-s.line+j] = ""
		}
		rest[e.line-s.line] = indent + "- {}"
	}
	if !found {
		return nil, false
	}
	body, err := d.document(part{s.line, rest}.padded())
	if err != nil {
		d.failed[name] = true
	}
	return body, true
}

// tabInText finds what the YAML package makes one word of: "a<tab>b".
var tabInText = regexp.MustCompile(`\S *\t[ \t]*\S`)

// refuse reports what the parser passes over without a word.
func (d *decoder) refuse(text string) {
	begun, ended := false, false
	for _, t := range lexer.Tokenize(text) {
		switch {
		case t.Type == token.DirectiveType:
			d.fail(t, "", "found a directive, allowed is none")
		case t.Type == token.DocumentHeaderType && begun, ended && t.Type != token.CommentType && t.Type != token.DocumentEndType:
			d.fail(t, "", "a second document begins; allowed is one")
			return // what comes now is of no matter
		case t.Type == token.StringType && !isBlock(t.Prev) && tabInText.MatchString(t.Origin):
			d.fail(t, "", "found a tab in a text without quotes, allowed are spaces")
		}
		begun = begun || t.Type != token.CommentType
		ended = ended || t.Type == token.DocumentEndType
	}
}

func isBlock(t *token.Token) bool {
	return t != nil && (t.Type == token.LiteralType || t.Type == token.FoldedType)
}

// syntax adds an error of the parser.
func (d *decoder) syntax(err error) {
	var y yaml.Error
	if !errors.As(err, &y) {
		d.fail(nil, "", "%v", err)
		return
	}
	t, message := y.GetToken(), y.GetMessage()
	if t != nil && t.Type == token.MappingStartType && t.Prev != nil && strings.HasSuffix(t.Prev.Value, "$") {
		message += `; ${NAME} inside of { } and [ ] needs quotes: "${NAME}"`
	}
	d.fail(t, "", "%s", message)
}

// yamlPlace is a position without a token.
func yamlPlace(line, column int) *token.Token {
	return &token.Token{Position: &token.Position{Line: line, Column: column}}
}
