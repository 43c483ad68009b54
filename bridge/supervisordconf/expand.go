package supervisordconf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errExpansion is an expansion that Python refuses.
var errExpansion = errors.New("invalid expansion")

// expand is Python's s % expansions, for strings and numbers.
func expand(s string, own, environ map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "%")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if after, ok := strings.CutPrefix(rest, "%"); ok {
			b.WriteByte('%')
			s = after
			continue
		}

		name, after, ok := strings.Cut(strings.TrimPrefix(rest, "("), ")")
		if !ok || rest[0] != '(' || after == "" {
			return "", fmt.Errorf("%w in %q: want %%(name)s, or %%%% for a percent sign", errExpansion, s)
		}
		value, ok := own[name]
		if variable, isEnv := strings.CutPrefix(name, "ENV_"); !ok && isEnv {
			value, ok = environ[variable]
		}
		if !ok {
			return "", fmt.Errorf("unknown name %q in %q", name, s)
		}

		text, after, ok := format(value, after)
		if !ok {
			return "", fmt.Errorf("%w in %q: want %%(name)s", errExpansion, s)
		}
		b.WriteString(text)
		s = after
	}
}

// format formats a value as what follows its name says: s, d, or a width and d.
func format(value, spec string) (text, after string, ok bool) {
	width := strings.IndexFunc(spec, func(c rune) bool { return c < '0' || c > '9' })
	if width < 0 {
		return "", "", false
	}
	after = spec[width+1:]
	if spec[width] == 's' {
		return value, after, true
	}

	const widest = 64
	n, err := strconv.Atoi(value)
	if spec[width] != 'd' || err != nil {
		return "", "", false
	}
	pad, _ := strconv.Atoi(spec[:width])
	return fmt.Sprintf("%0*d", min(pad, widest), n), after, true
}
