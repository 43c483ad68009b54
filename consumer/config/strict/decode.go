package strict

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// maxValues bounds what a few lines of aliases of aliases can become.
const maxValues = 1 << 17

// decoder writes a parsed document into a struct and takes in variables on the way. It
// reports what is wrong to its file.
type decoder struct {
	file    *File
	options Options
	// aliases holds what each alias stands for. broken is set when a part of the
	// file could not be parsed: the anchors in it are lost.
	aliases map[*ast.AliasNode]ast.Node
	broken  bool
	// values counts what was decoded, for maxValues.
	values int
}

// decodeValue decodes n, the value of a key, into v.
func (d *decoder) decodeValue(n ast.Node, v reflect.Value, key string) {
	if d.file.failed[key] { // its text could not be parsed
		return
	}
	n, literal := d.resolveAlias(n, key)
	if n == nil {
		return
	}
	if n.Type() == ast.NullType {
		d.file.empty[key] = true
		return
	}

	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(New(v.Type().Elem()))
		}
		v = v.Elem()
	}

	switch u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); {
	case ok:
		d.decodeText(n, u, key)
	case v.Kind() == reflect.Struct:
		d.decodeSection(n, v, key)
	case n.Type() != ast.SequenceType && slices.Contains(d.options.TextOrList, v.Type()):
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		d.decodeString(n, v.Index(0), literal, key)
	case v.Kind() == reflect.Slice:
		d.decodeList(n, v, key)
	case v.Kind() == reflect.Map:
		d.decodeMap(n, v, key)
	case v.Kind() == reflect.String:
		d.decodeString(n, v, literal, key)
	case v.Kind() == reflect.Bool:
		d.decodeBool(n, v, key)
	case v.CanInt():
		d.decodeNumber(n, v, key)
	default: // a test looks for types of the configuration that are missing here
		d.wrongType(n, key, "nothing")
	}
}

// resolveAlias follows anchors, aliases and tags to a value; literal reports that a tag
// makes it a text. It returns nil after a mistake.
func (d *decoder) resolveAlias(n ast.Node, key string) (value ast.Node, literal bool) {
	for {
		if !d.countValue(n, key) {
			return nil, false
		}

		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
		case *ast.AliasNode:
			if n = d.aliases[x]; n == nil {
				d.file.failed[key] = true
				if name := x.Value.GetToken(); !d.broken {
					d.file.fail(name, "", "could not find alias %q", name.Value)
				}
				return nil, false
			}
		case *ast.TagNode:
			if x.Start.Value != string(token.StringTag) {
				d.file.fail(x.Start, key, "found the tag %s, want %s", x.Start.Value, token.StringTag)
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

// countValue counts a value and reports whether it is within the bound.
func (d *decoder) countValue(n ast.Node, key string) bool {
	d.values++
	if d.values == maxValues {
		d.file.cutOff = true
		d.file.fail(n.GetToken(), key, "aliases make more than %d values", maxValues)
	}
	return d.values < maxValues
}

// decodeSection decodes a section into a struct.
func (d *decoder) decodeSection(n ast.Node, v reflect.Value, key string) {
	allowed := Fields(v.Type())
	pairs, ok := d.mergedPairs(n, key)
	if !ok {
		d.wrongType(n, key, "a mapping with the keys "+strings.Join(KeyNames(v.Type()), ", "))
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
			name = d.unknownKey(p, key, v.Type())
			if name == "" || written[name] {
				continue
			}
			written[name] = true
		}

		full := Below(key, name)
		d.file.keys[full] = t
		d.decodeValue(p.value, v.FieldByIndex(allowed[name].Index), full)
	}
}

// unknownKey reports a key that is not allowed, and returns the one that was meant if
// that is plain: its value is looked at too, and the key is not missing.
func (d *decoder) unknownKey(p pair, key string, section reflect.Type) (meant string) {
	t := p.key.GetToken()
	if text := strings.TrimLeft(t.Value, foreignSpaces); text != t.Value && text != "" {
		d.file.add(t, fmt.Sprintf(foreignFound, firstCharacter(t.Value)))
		return ""
	}

	allowed := KeyNames(section)
	message := fmt.Sprintf("unknown key %q", Below(key, t.Value))
	if p.by != nil {
		message += fmt.Sprintf(", merged at line %d", p.by.Position.Line)
	}
	message += ": want one of " + strings.Join(allowed, ", ")

	meant = d.meantKey(t.Value, allowed)
	if meant != "" {
		message += "; did you mean " + meant + "?"
	}
	d.file.add(t, message)
	return meant
}

// meantKey returns the allowed key that is nearest to an unknown one, or the only one that
// begins with it: start, for start_time.
func (d *decoder) meantKey(name string, allowed []string) string {
	if d.options.Nearest == nil {
		return ""
	}
	if meant := d.options.Nearest(name, allowed); meant != "" {
		return meant
	}

	longer := slices.DeleteFunc(slices.Clone(allowed), func(k string) bool { return !strings.HasPrefix(k, name+"_") })
	if len(longer) == 1 {
		return longer[0]
	}
	return ""
}

// decodeList decodes a sequence into a slice.
func (d *decoder) decodeList(n ast.Node, v reflect.Value, key string) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		allowed := "a list: [a, b]"
		if e := v.Type().Elem(); e.Kind() == reflect.Struct {
			allowed = "a list of mappings with the keys " + strings.Join(KeyNames(e), ", ")
		}
		d.wrongType(n, key, allowed)
		return
	}

	v.Set(reflect.MakeSlice(v.Type(), len(sequence.Values), len(sequence.Values)))
	for i, e := range sequence.Values {
		full := fmt.Sprintf("%s[%d]", key, i)
		d.file.keys[full] = beginOf(e)
		if d.decodeValue(e, v.Index(i), full); d.file.empty[full] {
			d.wrongType(e, full, "a value")
		}
	}
}

// decodeMap decodes a mapping with keys of the user's own.
func (d *decoder) decodeMap(n ast.Node, v reflect.Value, key string) {
	pairs, ok := d.mergedPairs(n, key)
	if !ok {
		d.wrongType(n, key, "a mapping: {name: text}")
		return
	}

	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range pairs {
		if _, ok := p.key.(ast.ScalarNode); !ok {
			d.wrongType(p.key, key, "a name before the colon")
			continue
		}

		t := p.key.GetToken()
		d.file.keys[key+"."+t.Value] = t
		text := reflect.New(v.Type().Elem()).Elem()
		d.decodeValue(p.value, text, key+"."+t.Value)
		v.SetMapIndex(reflect.ValueOf(t.Value), text)
	}
}

// pairsOf returns the keys of a mapping with their values.
func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// beginOf returns where a value begins: a mapping with its first key.
func beginOf(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && m.IsFlowStyle {
		return m.Start
	}
	if pairs, ok := pairsOf(n); ok && len(pairs) > 0 {
		return pairs[0].Key.GetToken()
	}
	return n.GetToken()
}

// wrongType reports a value of another type than the key has.
func (d *decoder) wrongType(n ast.Node, key, allowed string) {
	if key == "" {
		key = "the file"
	}
	d.file.fail(beginOf(n), key, "found %s, want %s", strings.ToLower(n.Type().String()), allowed)
}
