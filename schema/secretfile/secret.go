package secretfile

import (
	"fmt"
	"strconv"
	"strings"
)

// Secret is a text that appears neither in logs nor in a printed configuration. A URL
// that holds a token is one.
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

// Reveal returns the secret, or what the file holds if its name is not empty. key is the
// secret's key in the configuration; that of the file is key_file.
func (s Secret) Reveal(key, file string) (string, error) {
	if file == "" {
		// Variables of containers often end with a line end.
		return strings.Trim(string(s), "\r\n\ufeff"), nil
	}

	text, err := Read(file)
	if err != nil {
		return "", fmt.Errorf("%s_file: %w", key, err)
	}
	return text, nil
}
