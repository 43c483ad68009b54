package app

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"supernats/consumer/notify/mail"
)

// Load reads a configuration file over the defaults. It is strict: a key that is
// not known or a value that is not allowed is an error that names file, line and
// column, what was found and what is allowed, a line for each mistake.
func Load(path string) (Config, error) {
	return load(path, func(*decoder) bool { return false })
}

// LoadRules is Load for those who only look at the rules: a file without
// receivers may name in its rules those of another file.
func LoadRules(path string) (Config, error) {
	return load(path, func(d *decoder) bool { return d.keys["mail"] == nil && d.keys["receivers"] == nil })
}

func load(path string, unknownReceivers func(*decoder) bool) (Config, error) {
	c := Default()
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	d, err := decodeFile(path, text, &c)
	if err != nil {
		return c, err
	}
	return c, d.check(&c, unknownReceivers(d))
}

// decodeFile reads what is written over c; its values may still be wrong.
func decodeFile(path string, text []byte, c *Config) (*decoder, error) {
	d := &decoder{path: path, anchors: map[string]ast.Node{}, keys: map[string]*token.Token{}, empty: map[string]bool{}}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		return d, syntaxError(path, err)
	}
	if t, message := refuse(text); t != nil {
		return d, at(path, t, message)
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil || f.Docs[0].Body.Type() == ast.NullType {
		return d, nil // an empty file
	}
	d.value(f.Docs[0].Body, reflect.ValueOf(c).Elem(), "")
	if err := d.err(); err != nil {
		return d, err
	}
	for i := range c.Receivers {
		if m := c.Receivers[i].Mail; m != nil && c.Mail != nil {
			d.inherit(m, &c.Mail.Config, fmt.Sprintf("receivers[%d].mail", i))
		}
	}
	c.fitHolds(d.written)
	return d, nil
}

// inherit takes the keys that are not written from the section mail. The keys that
// give the secret of the login stand for each other.
func (d *decoder) inherit(m, from *mail.Config, path string) {
	secrets := []string{"password", "password_file", "token_file", "token_command"}
	ownSecret := slices.ContainsFunc(secrets, func(name string) bool { return d.written(path + "." + name) })

	to, defaults := reflect.ValueOf(m).Elem(), reflect.ValueOf(from).Elem()
	for name, f := range fields(to.Type()) {
		if d.written(path+"."+name) || ownSecret && slices.Contains(secrets, name) {
			continue
		}
		to.FieldByIndex(f.Index).Set(defaults.FieldByIndex(f.Index))
	}
}

func (d *decoder) written(key string) bool { return d.keys[key] != nil && !d.empty[key] }

// check returns what is wrong beyond the types of the keys, with its positions.
func (d *decoder) check(c *Config, unknownReceivers bool) error {
	found := c.check()
	if !unknownReceivers {
		found.notify(c)
	}
	return d.place(found)
}

// place returns problems with the positions of their keys.
func (d *decoder) place(found problems) error {
	for _, e := range found {
		// A section may find more than one mistake, a line for each; one that is
		// indented belongs to the line before, as below an expression.
		for message := range strings.SplitSeq(e.err.Error(), "\n") {
			if n := len(d.mistakes); n > 0 && strings.HasPrefix(message, " ") {
				d.mistakes[n-1].message += "\n" + message
				continue
			}
			d.locate(e.path, message)
		}
	}
	return d.err()
}

// locate adds an error with the position of its key, or of the section around it.
func (d *decoder) locate(path, message string) {
	where := path
	// The parts of a section name their own key first: "smarthost: missing".
	if inner, rest, ok := strings.Cut(message, ":"); ok {
		where = path + "." + inner
		if d.keys[where] != nil {
			path, message = where, strings.TrimPrefix(rest, " ")
		}
	}
	// A list may be written as one text.
	if whole, ok := strings.CutSuffix(path, "[0]"); ok && d.keys[path] == nil && d.keys[whole] != nil {
		path = whole
	}
	for d.keys[where] == nil {
		i := strings.LastIndexAny(where, ".[")
		if i < 0 {
			break
		}
		where = where[:i]
	}
	d.fail(d.keys[where], "%s: %s", path, message)
}

// mistake is one line of an error.
type mistake struct {
	at      *token.Token
	message string
}

// maxMistakes is how many are told at once.
const maxMistakes = 20

func (d *decoder) fail(t *token.Token, format string, args ...any) {
	d.mistakes = append(d.mistakes, mistake{t, fmt.Sprintf(format, args...)})
}

// err returns the mistakes in the order of the file.
func (d *decoder) err() error {
	slices.SortStableFunc(d.mistakes, func(a, b mistake) int {
		if a.at == nil || b.at == nil {
			return 0
		}
		return cmp.Or(cmp.Compare(a.at.Position.Line, b.at.Position.Line), cmp.Compare(a.at.Position.Column, b.at.Position.Column))
	})
	var errs []error
	for i, m := range d.mistakes {
		if i == maxMistakes {
			errs = append(errs, fmt.Errorf("%s: and %d mistakes more", d.path, len(d.mistakes)-i))
			break
		}
		errs = append(errs, at(d.path, m.at, m.message))
	}
	return errors.Join(errs...)
}

// tabInText finds what the YAML package makes one word of: "a<tab>b".
var tabInText = regexp.MustCompile(`\S *\t[ \t]*\S`)

// refuse returns what the parser would pass over without a word.
func refuse(text []byte) (*token.Token, string) {
	begun, ended := false, false
	for _, t := range lexer.Tokenize(string(text)) {
		switch {
		case t.Type == token.DirectiveType:
			return t, "found a directive, allowed is none"
		case t.Type == token.DocumentHeaderType && begun, ended && t.Type != token.CommentType && t.Type != token.DocumentEndType:
			return t, "a second document begins; allowed is one"
		case t.Type == token.StringType && !isBlock(t.Prev) && tabInText.MatchString(t.Origin):
			return t, "found a tab in a text without quotes, allowed are spaces"
		}
		begun = begun || t.Type != token.CommentType
		ended = ended || t.Type == token.DocumentEndType
	}
	return nil, ""
}

func isBlock(t *token.Token) bool {
	return t != nil && (t.Type == token.LiteralType || t.Type == token.FoldedType)
}

// at is an error in the form that editors jump to: file:line:column.
func at(path string, t *token.Token, message string) error {
	if t == nil || t.Position == nil {
		return fmt.Errorf("%s: %s", path, message)
	}
	return fmt.Errorf("%s:%d:%d: %s", path, t.Position.Line, t.Position.Column, message)
}

func syntaxError(path string, err error) error {
	var y yaml.Error
	if !errors.As(err, &y) {
		return at(path, nil, err.Error())
	}
	t, message := y.GetToken(), y.GetMessage()
	if t != nil && t.Type == token.MappingStartType && t.Prev != nil && strings.HasSuffix(t.Prev.Value, "$") {
		message += `; ${NAME} inside of { } and [ ] needs quotes: "${NAME}"`
	}
	return at(path, t, message)
}
