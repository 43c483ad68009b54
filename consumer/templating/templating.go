// Package templating is what the templates of rules and those of mails have in common: the
// functions that they may call, and a bound for what they write. No function reads files,
// variables or the network: what a template writes, everybody sees.
package templating

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"supernats/schema"
)

// Functions are those of all templates beside Go's own, with some more or in another way.
func Functions(own map[string]any) map[string]any {
	all := map[string]any{
		"upper":   strings.ToUpper,
		"lower":   strings.ToLower,
		"trim":    strings.TrimSpace,
		"join":    func(sep string, list []string) string { return strings.Join(list, sep) },
		"replace": func(from, to, s string) string { return strings.ReplaceAll(s, from, to) },
		"default": func(other, s string) string { return cmp.Or(s, other) },
		"bytes":   bytesText,
	}
	maps.Copy(all, own)
	return all
}

// bytesText writes a number of bytes: "2.0 GiB".
func bytesText(n any) (string, error) {
	switch v := reflect.ValueOf(n); {
	case v.CanUint():
		return schema.Bytes(v.Uint()), nil
	case v.CanInt() && v.Int() >= 0:
		return schema.Bytes(uint64(v.Int())), nil
	}
	return "", fmt.Errorf("bytes: found %v, want a number of bytes", n)
}

// Limited keeps what a template writes, up to Most bytes. Beyond them Write fails with
// TooLong.
type Limited struct {
	Most    int
	TooLong error

	text strings.Builder
}

// Write implements io.Writer.
func (l *Limited) Write(p []byte) (int, error) {
	if l.text.Len()+len(p) > l.Most {
		return 0, l.TooLong
	}
	return l.text.Write(p)
}

// String is what was written.
func (l *Limited) String() string { return l.text.String() }
