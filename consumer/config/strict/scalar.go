package strict

import (
	"encoding"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// unmarshal decodes what has a form of its own: a duration, a size.
func (d *decoder) unmarshal(n ast.Node, v encoding.TextUnmarshaler, key string) {
	text, ok := d.text(n, key, "a text")
	if !ok {
		return
	}

	d.file.keys[key] = n.GetToken()
	if err := v.UnmarshalText([]byte(text)); err != nil {
		d.file.fail(n.GetToken(), key, "%v", err)
	}
}

// string decodes a text. A number is one too if it stays what is written: a password 007
// would become 7.
func (d *decoder) string(n ast.Node, v reflect.Value, literal bool, key string) {
	text, ok := d.text(n, key, "a text")
	if !ok {
		return
	}

	d.file.keys[key] = n.GetToken()
	if n.Type() == ast.IntegerType || n.Type() == ast.FloatType {
		written := n.GetToken().Value
		if literal {
			text = written
		}
		if text != written {
			v.SetString(written)
			// The value is shown by its own type: a secret hides itself.
			d.file.fail(n.GetToken(), key, "found the number %[1]v, allowed is a text: '%[1]v' with quotes",
				v.Interface())
			return
		}
	}
	v.SetString(text)
}

func (d *decoder) bool(n ast.Node, v reflect.Value, key string) {
	const allowed = "true or false"
	text, ok := d.plain(n, ast.BoolType, key, allowed)
	if !ok {
		return
	}

	d.file.keys[key] = n.GetToken()
	if text != "true" && text != "false" {
		d.file.fail(n.GetToken(), key, "found %q, allowed is %s", text, allowed)
		return
	}
	v.SetBool(text == "true")
}

func (d *decoder) number(n ast.Node, v reflect.Value, key string) {
	const allowed = "a number"
	text, ok := d.plain(n, ast.IntegerType, key, allowed)
	if !ok {
		return
	}

	d.file.keys[key] = n.GetToken()
	i, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil {
		most := uint64(1)<<(v.Type().Bits()-1) - 1
		d.file.fail(n.GetToken(), key, "found %q, allowed is %s up to %d", text, allowed, most)
		return
	}
	v.SetInt(i)
}

// plain returns the text of a value of one type, or of one with variables in it:
// `replicas: ${N}` is a number, `replicas: "3"` is not.
func (d *decoder) plain(n ast.Node, want ast.NodeType, key, allowed string) (string, bool) {
	s, ok := n.(*ast.StringNode)
	if n.Type() != want && (!ok || !variable.MatchString(s.Value)) {
		d.wrongType(n, key, allowed)
		return "", false
	}
	return d.text(n, key, allowed)
}

// text returns that of a scalar, with the values of its variables.
func (d *decoder) text(n ast.Node, key, allowed string) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return d.expand(s, key)
	case *ast.LiteralNode:
		return d.expand(s.Value, key)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return fmt.Sprint(s.(ast.ScalarNode).GetValue()), true
	}

	if n.Type() == ast.MappingType || n.Type() == ast.MappingValueType {
		allowed += " (one with a ':' may need quotes)"
	}
	d.wrongType(n, key, allowed)
	return "", false
}

var (
	// variable is ${NAME}; $${NAME} is the text itself, as a shell may want it.
	variable     = regexp.MustCompile(`\$?\$\{([^}]*)\}`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// expand puts the values of variables in place of ${NAME}. Each one that is not set is
// reported.
func (d *decoder) expand(s *ast.StringNode, key string) (text string, ok bool) {
	ok = true
	text = variable.ReplaceAllStringFunc(s.Value, func(ref string) string {
		if literal, ok := strings.CutPrefix(ref, "$$"); ok {
			return "$" + literal
		}
		name := ref[2 : len(ref)-1]
		value, isSet := os.LookupEnv(name)
		if isSet {
			return value
		}

		ok = false
		d.file.failed[key] = true
		message := "variable " + ref + " is not set"
		if name != "" && !variableName.MatchString(name) {
			message += "; allowed are letters, digits and _, without a default, and $" + ref + " for the text itself"
		}
		d.file.fail(s.GetToken(), "", "%s", message)
		return ""
	})
	return text, ok
}
