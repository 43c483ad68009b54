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

// decodeText decodes what has a form of its own: a duration, a size.
func (d *decoder) decodeText(n ast.Node, v encoding.TextUnmarshaler, key string) {
	text, ok := d.scalarText(n, key, "a text")
	if !ok {
		return
	}

	d.file.keys[key] = n.GetToken()
	if err := v.UnmarshalText([]byte(text)); err != nil {
		d.file.fail(n.GetToken(), key, "%v", err)
	}
}

// decodeString decodes a text. A number is one too if it stays what is written: a password 007
// would become 7.
func (d *decoder) decodeString(n ast.Node, v reflect.Value, literal bool, key string) {
	text, ok := d.scalarText(n, key, "a text")
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
			d.file.fail(n.GetToken(), key, "found the number %[1]v, want a text: '%[1]v' with quotes",
				v.Interface())
			return
		}
	}
	v.SetString(text)
}

func (d *decoder) decodeBool(n ast.Node, v reflect.Value, key string) {
	const allowed = "true or false"
	text, ok := d.plainText(n, ast.BoolType, key, allowed)
	if !ok {
		return
	}

	d.file.keys[key] = n.GetToken()
	if text != "true" && text != "false" {
		d.file.fail(n.GetToken(), key, "invalid value %q: want %s", text, allowed)
		return
	}
	v.SetBool(text == "true")
}

func (d *decoder) decodeNumber(n ast.Node, v reflect.Value, key string) {
	const allowed = "a number"
	text, ok := d.plainText(n, ast.IntegerType, key, allowed)
	if !ok {
		return
	}

	d.file.keys[key] = n.GetToken()
	i, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil {
		most := uint64(1)<<(v.Type().Bits()-1) - 1
		d.file.fail(n.GetToken(), key, "invalid value %q: want %s up to %d", text, allowed, most)
		return
	}
	v.SetInt(i)
}

// plainText returns the text of a value of one type, or of one with variables in it:
// `replicas: ${N}` is a number, `replicas: "3"` is not.
func (d *decoder) plainText(n ast.Node, want ast.NodeType, key, allowed string) (string, bool) {
	s, ok := n.(*ast.StringNode)
	if n.Type() != want && (!ok || !variable.MatchString(s.Value)) {
		d.wrongType(n, key, allowed)
		return "", false
	}
	return d.scalarText(n, key, allowed)
}

// scalarText returns that of a scalar, with the values of its variables.
func (d *decoder) scalarText(n ast.Node, key, allowed string) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return d.expandVariables(s, key)
	case *ast.LiteralNode:
		return d.expandVariables(s.Value, key)
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

// expandVariables puts the values of variables in place of ${NAME}. Each one that is not set is
// reported.
func (d *decoder) expandVariables(s *ast.StringNode, key string) (text string, ok bool) {
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
			message += "; want letters, digits and _, without a default, or $" + ref + " for the text itself"
		}
		d.file.fail(s.GetToken(), "", "%s", message)
		return ""
	})
	return text, ok
}
