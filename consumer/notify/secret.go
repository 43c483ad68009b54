package notify

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// maxFile is the size of the biggest file with a secret or a certificate.
const maxFile = 1 << 20

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
// of the secret in the configuration, and key_file that of the file.
func (s Secret) Reveal(key, file string) (string, error) {
	if file == "" {
		return string(s), nil
	}
	b, err := readFile(key+"_file", file)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s_file: %s is empty", key, file)
	}
	return text, nil
}

// readFile reads a file that is one: a pipe would block for as long as nobody
// writes, and a time-out does not reach there.
func readFile(key, name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %s is no regular file", key, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: %s is bigger than %d bytes", key, name, maxFile)
	}
	return b, nil
}
