package app

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"supernats/consumer/rules"
)

// decoder writes a YAML document into a struct and takes in variables on the
// way. It does so in place of the YAML package's own so that every mistake is
// found in one run and has a position, and none shows a secret.
type decoder struct {
	path string
	// anchors are the last of each name so far, aliases what each stands for.
	anchors map[string]ast.Node
	aliases map[*ast.AliasNode]ast.Node
	// keys remembers where the value of each key stands, or of a section its key;
	// empty those whose value is null, which leaves the default.
	keys  map[string]*token.Token
	empty map[string]bool
	// failed are those whose value could not be decoded: what is wrong with them
	// beyond that only follows from it. broken says that a part of the file could not
	// be parsed, and the anchors in it are lost.
	failed   map[string]bool
	broken   bool
	values   int
	mistakes []mistake
	// seen are the mistakes without the paths of their keys.
	seen map[mistake]bool
}

// maxValues bounds what a few lines of aliases of aliases can become.
const maxValues = 1 << 17

var listType = reflect.TypeFor[rules.List]()

// value decodes n, the value of a key, into v.
func (d *decoder) value(n ast.Node, v reflect.Value, key string) {
	if d.failed[key] { // its text could not be parsed
		return
	}
	n, literal := d.resolve(n, key)
	if n == nil {
		return
	}
	if n.Type() == ast.NullType {
		d.empty[key] = true
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(newValue(v.Type().Elem()))
		}
		v = v.Elem()
	}
	switch u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); {
	case ok:
		d.unmarshal(n, u, key)
	case v.Kind() == reflect.Struct:
		d.mapping(n, v, key)
	case v.Type() == listType && n.Type() != ast.SequenceType:
		v.Set(reflect.MakeSlice(listType, 1, 1))
		d.string(n, v.Index(0), literal, key)
	case v.Kind() == reflect.Slice:
		d.list(n, v, key)
	case v.Kind() == reflect.Map:
		d.texts(n, v, key)
	case v.Kind() == reflect.String:
		d.string(n, v, literal, key)
	case v.Kind() == reflect.Bool:
		d.bool(n, v, key)
	case v.CanInt():
		d.number(n, v, key)
	default: // a test looks for types that stand in the configuration and not here
		d.wrong(n, key, "nothing")
	}
}

// newValue returns a pointer to a zero value, or to one with its defaults, so that
// `timeout: 0s` in the file is seen.
func newValue(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if m := p.MethodByName("WithDefaults"); m.IsValid() && m.Type().NumOut() == 1 && m.Type().Out(0) == t {
		p.Elem().Set(m.Call(nil)[0])
	}
	return p
}

// resolve follows anchors, aliases and tags to a value; literal says that a tag
// makes it a text. It returns nil after a mistake.
func (d *decoder) resolve(n ast.Node, key string) (value ast.Node, literal bool) {
	for {
		if d.values++; d.values >= maxValues {
			if d.values == maxValues {
				d.fail(n.GetToken(), key, "aliases make more than %d values", maxValues)
			}
			return nil, false
		}
		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
		case *ast.AliasNode:
			if n = d.aliases[x]; n == nil {
				d.failed[key] = true
				if name := x.Value.GetToken(); !d.broken {
					d.fail(name, "", "could not find alias %q", name.Value)
				}
				return nil, false
			}
		case *ast.TagNode:
			if x.Start.Value != string(token.StringTag) {
				d.fail(x.Start, key, "found the tag %s, allowed is %s", x.Start.Value, token.StringTag)
				return nil, false
			}
			n, literal = x.Value, true
		case nil:
			return nil, false
		default:
			return n, literal
		}
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, key string) {
	allowed := fields(v.Type())
	pairs, ok := d.pairs(n, key)
	if !ok {
		d.wrong(n, key, "a mapping with the keys "+strings.Join(names(v.Type()), ", "))
		return
	}

	written := map[string]bool{}
	for _, p := range pairs {
		written[p.key.GetToken().Value] = true
	}
	for _, p := range pairs {
		t := p.key.GetToken()
		name := t.Value
		if _, ok := allowed[name]; !ok {
			if key == "" && strings.HasPrefix(name, "x-") { // a place for anchors
				continue
			}
			name = d.unknown(p, key, v.Type())
			if name == "" || written[name] {
				continue
			}
			written[name] = true
		}
		full := below(key, name)
		d.keys[full] = t
		d.value(p.value, v.FieldByIndex(allowed[name].Index), full)
	}
}

// unknown reports a key that is not allowed, and returns the one that was meant if
// that is plain: its value is looked at too, and the key is not missing.
func (d *decoder) unknown(p pair, key string, section reflect.Type) (meant string) {
	t := p.key.GetToken()
	if text := strings.TrimLeft(t.Value, foreignSpaces); text != t.Value && text != "" {
		d.add(t, fmt.Sprintf(foreignFound, foreign(t.Value)))
		return ""
	}
	list := names(section)
	message := fmt.Sprintf("unknown key %q", below(key, t.Value))
	if p.by != nil {
		message += fmt.Sprintf(", merged at line %d", p.by.Position.Line)
	}
	message += "; allowed are " + strings.Join(list, ", ")
	if meant = rules.Nearest(t.Value, list); meant == "" { // start, for start_time
		longer := slices.DeleteFunc(slices.Clone(list), func(k string) bool { return !strings.HasPrefix(k, t.Value+"_") })
		if len(longer) == 1 {
			meant = longer[0]
		}
	}
	if meant != "" {
		message += "; did you mean " + meant + "?"
	}
	d.add(t, message)
	return meant
}

func (d *decoder) list(n ast.Node, v reflect.Value, key string) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		allowed := "a list: [a, b]"
		if e := v.Type().Elem(); e.Kind() == reflect.Struct {
			allowed = "a list of mappings with the keys " + strings.Join(names(e), ", ")
		}
		d.wrong(n, key, allowed)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(sequence.Values), len(sequence.Values)))
	for i, e := range sequence.Values {
		full := fmt.Sprintf("%s[%d]", key, i)
		d.keys[full] = where(e)
		if d.value(e, v.Index(i), full); d.empty[full] {
			d.wrong(e, full, "a value")
		}
	}
}

// texts decodes a mapping with keys of the user's own.
func (d *decoder) texts(n ast.Node, v reflect.Value, key string) {
	pairs, ok := d.pairs(n, key)
	if !ok {
		d.wrong(n, key, "a mapping: {name: text}")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range pairs {
		if _, ok := p.key.(ast.ScalarNode); !ok {
			d.wrong(p.key, key, "a name before the colon")
			continue
		}
		t := p.key.GetToken()
		d.keys[key+"."+t.Value] = t
		text := reflect.New(v.Type().Elem()).Elem()
		d.value(p.value, text, key+"."+t.Value)
		v.SetMapIndex(reflect.ValueOf(t.Value), text)
	}
}

// fields are the keys that a struct allows.
func fields(t reflect.Type) map[string]reflect.StructField {
	keys := map[string]reflect.StructField{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			for n, inner := range fields(f.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				keys[n] = inner
			}
		case name != "" && name != "-":
			keys[name] = f
		}
	}
	return keys
}

// names are those of the keys that a struct allows, in order.
func names(t reflect.Type) []string { return slices.Sorted(maps.Keys(fields(t))) }

func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// where is where a value begins: a mapping with its first key.
func where(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && m.IsFlowStyle {
		return m.Start
	}
	if pairs, ok := pairsOf(n); ok && len(pairs) > 0 {
		return pairs[0].Key.GetToken()
	}
	return n.GetToken()
}

func (d *decoder) wrong(n ast.Node, key, allowed string) {
	if key == "" {
		key = "the file"
	}
	d.fail(where(n), key, "found %s, allowed is %s", strings.ToLower(n.Type().String()), allowed)
}
