package app

import (
	"encoding"
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
// column, what was found and what is allowed.
func Load(path string) (Config, error) {
	c := Default()
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	if err := parse(path, text, &c); err != nil {
		return c, err
	}
	return c, nil
}

func parse(path string, text []byte, c *Config) error {
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		return at(path, positionOf(err), messageOf(err))
	}
	if t := secondDocument(text); t != nil {
		return at(path, t, "a second document begins; allowed is one")
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil || f.Docs[0].Body.Type() == ast.NullType {
		return c.validate() // an empty file
	}
	body := f.Docs[0].Body
	k := checker{path: path, keys: map[string]*token.Token{}}
	if err := k.check(body, reflect.TypeOf(*c), ""); err != nil {
		return err
	}
	if k.keys["mail"] != nil {
		d := mail.Config{}.WithDefaults() // now, so that `timeout: 0s` is seen
		c.Mail = &d
	}
	if err := yaml.NodeToValue(body, c, yaml.Strict()); err != nil {
		return at(path, positionOf(err), messageOf(err))
	}
	if err := c.validate(); err != nil {
		return k.locate(err)
	}
	return nil
}

// secondDocument returns where one begins. The parser would forget what stands in
// it if the first one is empty.
func secondDocument(text []byte) *token.Token {
	begun := false
	for _, t := range lexer.Tokenize(string(text)) {
		if t.Type == token.DocumentHeaderType && begun {
			return t
		}
		begun = begun || t.Type != token.CommentType
	}
	return nil
}

// at is an error in the form that editors jump to: file:line:column.
func at(path string, t *token.Token, message string) error {
	if t == nil || t.Position == nil {
		return fmt.Errorf("%s: %s", path, message)
	}
	return fmt.Errorf("%s:%d:%d: %s", path, t.Position.Line, t.Position.Column, message)
}

func positionOf(err error) *token.Token {
	var y yaml.Error
	if errors.As(err, &y) {
		return y.GetToken()
	}
	return nil
}

func messageOf(err error) string {
	var y yaml.Error
	if errors.As(err, &y) {
		return y.GetMessage()
	}
	return err.Error()
}

// checker compares a document with the type that it will be decoded into, so
// that every error has a position, and takes in variables on the way. keys
// remembers where each key stands.
type checker struct {
	path string
	keys map[string]*token.Token
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

func (k *checker) check(n ast.Node, t reflect.Type, at string) error {
	if a, ok := n.(*ast.AnchorNode); ok {
		n = a.Value
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if tag, ok := n.(*ast.TagNode); ok {
		n = tag.Value
	}
	text := n
	if block, ok := n.(*ast.LiteralNode); ok {
		text = block.Value
	}
	if s, ok := text.(*ast.StringNode); ok {
		if err := k.expand(s); err != nil {
			return err
		}
	}
	switch {
	case n.Type() == ast.AliasType, n.Type() == ast.NullType:
		return nil
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		return k.text(n, t, at)
	}
	switch t.Kind() {
	case reflect.Struct:
		return k.mapping(n, t, at)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			return k.wrong(n, at, "a list: [a, b]")
		}
		for i, v := range list.Values {
			if err := k.check(v, t.Elem(), fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Int:
		if _, ok := n.(*ast.IntegerNode); !ok {
			return k.wrong(n, at, "a number")
		}
	case reflect.Bool:
		if _, ok := n.(*ast.BoolNode); !ok {
			return k.wrong(n, at, "true or false")
		}
	case reflect.String:
		s, ok := n.(ast.ScalarNode)
		if !ok {
			return k.wrong(n, at, "a text")
		}
		// A password 007 would become 7.
		if written := n.GetToken().Value; (n.Type() == ast.IntegerType || n.Type() == ast.FloatType) && fmt.Sprint(s.GetValue()) != written {
			return k.at(n, fmt.Sprintf("%s: found the number %s, allowed is a text: '%s' with quotes", at, written, written))
		}
	}
	k.keys[at] = n.GetToken()
	return nil
}

// text checks a value that has a form of its own: a duration, a size.
func (k *checker) text(n ast.Node, t reflect.Type, at string) error {
	s, ok := n.(ast.ScalarNode)
	if !ok {
		return k.wrong(n, at, "a text")
	}
	k.keys[at] = n.GetToken()
	v := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	if err := v.UnmarshalText([]byte(fmt.Sprint(s.GetValue()))); err != nil {
		return k.at(n, at+": "+err.Error())
	}
	if s, ok := n.(*ast.StringNode); ok {
		// From here such a type is decoded, not from the value that expand has set.
		s.Token.Origin = s.Value
	}
	return nil
}

func (k *checker) mapping(n ast.Node, t reflect.Type, at string) error {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		return k.wrong(n, at, "a mapping with the keys "+strings.Join(names(fields(t)), ", "))
	}
	allowed := fields(t)
	for _, p := range pairs {
		name := p.Key.GetToken().Value
		key := strings.TrimPrefix(at+"."+name, ".")
		field, ok := allowed[name]
		if !ok {
			return k.at(p.Key, fmt.Sprintf("unknown key %q; allowed are %s", key, strings.Join(names(allowed), ", ")))
		}
		k.keys[key] = p.Key.GetToken()
		if err := k.check(p.Value, field, key); err != nil {
			return err
		}
	}
	return nil
}

// fields are the keys that a struct allows.
func fields(t reflect.Type) map[string]reflect.Type {
	keys := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			for n, t := range fields(f.Type) {
				keys[n] = t
			}
		case name != "" && name != "-":
			keys[name] = f.Type
		}
	}
	return keys
}

func names(keys map[string]reflect.Type) []string {
	var list []string
	for n := range keys {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

func (k *checker) wrong(n ast.Node, key, allowed string) error {
	if key == "" {
		key = "the file"
	}
	return k.at(n, fmt.Sprintf("%s: found %s, allowed is %s", key, strings.ToLower(n.Type().String()), allowed))
}

func (k *checker) at(n ast.Node, message string) error { return at(k.path, n.GetToken(), message) }

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// expand puts the values of variables in place of ${NAME}.
func (k *checker) expand(s *ast.StringNode) (err error) {
	s.Value = variable.ReplaceAllStringFunc(s.Value, func(ref string) string {
		name := ref[2 : len(ref)-1]
		value, ok := os.LookupEnv(name)
		if !ok && err == nil {
			err = k.at(s, fmt.Sprintf("variable %s is not set", ref))
		}
		return value
	})
	return err
}

// locate adds the position of its key, or of the section around it, to an error
// of validate.
func (k *checker) locate(err error) error {
	var ke *keyError
	if !errors.As(err, &ke) {
		return at(k.path, nil, err.Error())
	}
	// A section may find more than one mistake, a line for each.
	var lines []string
	for message := range strings.SplitSeq(ke.err.Error(), "\n") {
		lines = append(lines, k.line(ke.path, message).Error())
	}
	return errors.New(strings.Join(lines, "\n"))
}

func (k *checker) line(path, message string) error {
	// The parts of a section name their own key first: "smarthost: missing".
	if inner, _, ok := strings.Cut(message, ":"); ok {
		if t := k.keys[path+"."+inner]; t != nil {
			return at(k.path, t, path+"."+message)
		}
	}
	message = path + ": " + message
	for {
		if t := k.keys[path]; t != nil {
			return at(k.path, t, message)
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return at(k.path, nil, message)
		}
		path = path[:i]
	}
}
