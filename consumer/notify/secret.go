package notify

import (
	"fmt"
	"strconv"
	"strings"

	"supernats/schema/secretfile"
)

// Secret is a text that shows neither in logs nor in a configuration printed. A
// URL with a token in it is one.
type Secret string

// String implements fmt.Stringer: it never shows the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "<secret>"
}

// GoString implements fmt.GoStringer, for %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText implements encoding.TextMarshaler: it never shows the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the secret, or what is in file if that is not empty. key is that
// of the secret in the configuration, and key_file that of the file. What editors
// and clipboards leave around a secret in a file is cut off.
func (s Secret) Reveal(key, file string) (string, error) {
	if file == "" {
		// Variables of containers often end with a line end.
		return strings.Trim(string(s), "\r\n\ufeff"), nil
	}
	text, err := secretfile.Read(file)
	if err != nil {
		return "", fmt.Errorf("%s_file: %w", key, err)
	}
	return text, nil
}

// readFile reads a file that a key names.
func readFile(key, name string) ([]byte, error) {
	b, err := secretfile.Bytes(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return b, nil
}
