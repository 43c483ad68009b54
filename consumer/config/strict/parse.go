package strict

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// yamlParser makes a tree of a text as far as it can be read, and reports syntax errors to
// its file.
type yamlParser struct {
	file *File
	// anchors holds the last of each name so far, aliases what each stands for.
	anchors map[string]ast.Node
	aliases map[*ast.AliasNode]ast.Node
	// broken is set when a part of the file could not be parsed.
	broken bool
}

func newParser(f *File) *yamlParser {
	return &yamlParser{file: f, anchors: map[string]ast.Node{}, aliases: map[*ast.AliasNode]ast.Node{}}
}

// parseFile parses a file. A section with a syntax error is left out with its mistake and
// hides none of the others. The result is nil for an empty file.
func (p *yamlParser) parseFile(text []byte) ast.Node {
	clean := p.cleanText(text)
	whole, err := p.parseDocument(clean)
	if err == nil {
		return whole
	}

	var pairs []*ast.MappingValueNode
	for _, s := range divide(clean) {
		body, ok := p.parseSection(s)
		if own, is := pairsOf(body); is && ok {
			pairs = append(pairs, own...)
		}
	}
	if len(p.file.mistakes) == 0 { // each section is right by itself
		p.syntaxError(err)
	}

	if len(pairs) == 0 {
		return nil
	}
	return ast.Mapping(pairs[0].Start, false, pairs...)
}

// cleanText returns a text of UTF-8 with LF at the ends of lines, whatever the editor
// wrote. Every line and column stays what it is.
func (p *yamlParser) cleanText(text []byte) string {
	if isUTF16(text) {
		p.file.fail(nil, "", "found UTF-16, want UTF-8: save the file as UTF-8")
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
				p.file.fail(placeOf(i+1, column+1), "",
					"found the byte 0x%02x, want UTF-8: save the file as UTF-8", line[column])
				break
			}
		}
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

func isUTF16(text []byte) bool {
	return bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) ||
		bytes.IndexByte(text, 0) == 1
}

// parseDocument parses one text, in which lines before it may be empty. What the parser
// accepts in silence and the decoder does not know is refused.
func (p *yamlParser) parseDocument(text string) (ast.Node, error) {
	f, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}

	p.refuseTokens(text)
	if len(f.Docs) == 0 || f.Docs[0].Body == nil || f.Docs[0].Body.Type() == ast.NullType {
		return nil, nil
	}
	ast.Walk(p, f.Docs[0].Body)
	return f.Docs[0].Body, nil
}

// Visit implements ast.Visitor: it binds each alias to the last anchor of its name
// before it.
func (p *yamlParser) Visit(n ast.Node) ast.Visitor {
	switch x := n.(type) {
	case *ast.AnchorNode:
		p.anchors[x.Name.GetToken().Value] = x.Value
	case *ast.AliasNode:
		p.aliases[x] = p.anchors[x.Value.GetToken().Value]
	}
	return p
}

// tabInText finds what the YAML package makes one word of: "a<tab>b".
var tabInText = regexp.MustCompile(`\S *\t[ \t]*\S`)

// refuseTokens reports what the parser accepts in silence: directives, a second document,
// tabs in a text.
func (p *yamlParser) refuseTokens(text string) {
	begun, ended := false, false
	for _, t := range lexer.Tokenize(text) {
		isHeader := t.Type == token.DocumentHeaderType
		isContent := t.Type != token.CommentType && t.Type != token.DocumentEndType

		switch {
		case t.Type == token.DirectiveType:
			p.file.fail(t, "", "found a directive, want none")
		case isHeader && begun, ended && isContent:
			p.file.fail(t, "", "a second document begins; want one")
			return // what follows does not matter
		case t.Type == token.StringType && !isBlock(t.Prev) && tabInText.MatchString(t.Origin):
			p.file.fail(t, "", "found a tab in a text without quotes, want spaces")
		}

		begun = begun || t.Type != token.CommentType
		ended = ended || t.Type == token.DocumentEndType
	}
}

func isBlock(t *token.Token) bool {
	return t != nil && (t.Type == token.LiteralType || t.Type == token.FoldedType)
}

// syntaxError reports an error of the parser.
func (p *yamlParser) syntaxError(err error) {
	var y yaml.Error
	if !errors.As(err, &y) {
		p.file.fail(nil, "", "%v", err)
		return
	}

	t, message := y.GetToken(), y.GetMessage()
	if t != nil && t.Type == token.MappingStartType && t.Prev != nil && strings.HasSuffix(t.Prev.Value, "$") {
		message += `; ${NAME} inside of { } and [ ] needs quotes: "${NAME}"`
	}
	p.file.fail(t, "", "%s", message)
}

// placeOf is a position without a token.
func placeOf(line, column int) *token.Token {
	return &token.Token{Position: &token.Position{Line: line, Column: column}}
}
