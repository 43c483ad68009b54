// Package token encodes names as tokens of NATS subjects and keys, see schema.Token.
package token

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// maxToken is the length of the longest token that is written in full. A NATS server
	// closes the connection at a subject above 4 KB (MAX_CONTROL_LINE).
	maxToken = 200
	// shortToken is how much of a longer one is kept before its hash.
	shortToken = 180
	// hashDigits is how many hex digits of the name's SHA-256 follow "==".
	hashDigits = 16
)

// ErrShortened is returned for a token that holds only the beginning of its name and a
// hash. The full name stands in the JSON.
var ErrShortened = errors.New("token is shortened, its name cannot be recovered")

func errorf(format string, args ...any) error { return fmt.Errorf("schema: "+format, args...) }

const upperHex = "0123456789ABCDEF"

// Encode returns the token of a name, see schema.Token.
func Encode(name string) string {
	switch name {
	case "":
		return "-"
	case "-":
		return "=2D"
	}
	size := tokenSize(name)
	if size == len(name) && size <= maxToken {
		return name
	}

	var b strings.Builder
	b.Grow(min(size, maxToken))
	for i := 0; i < len(name); i++ {
		c := name[i]
		width := 1
		if !isPlain(c) {
			width = escapeWidth
		}
		if size > maxToken && b.Len()+width > shortToken {
			sum := sha256.Sum256([]byte(name))
			return b.String() + "==" + hex.EncodeToString(sum[:])[:hashDigits]
		}

		if width == 1 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

// escapeWidth is the length of an escaped byte: "=2D".
const escapeWidth = 3

// tokenSize is the length of a name with every escape.
func tokenSize(name string) int {
	n := len(name)
	for i := 0; i < len(name); i++ {
		if !isPlain(name[i]) {
			n += escapeWidth - 1
		}
	}
	return n
}

// Is reports whether token is Encode(name), without allocating that.
func Is(token, name string) bool {
	switch {
	case name == "", name == "-", len(token) > shortToken-2:
		return token == Encode(name) // which may be shortened
	case len(token) < len(name):
		return false
	}

	i := 0
	for j := 0; j < len(name); j++ {
		switch c := name[j]; {
		case i >= len(token):
			return false
		case isPlain(c):
			if token[i] != c {
				return false
			}
			i++
		default:
			if i+escapeWidth > len(token) {
				return false
			}
			if token[i] != '=' || token[i+1] != upperHex[c>>4] || token[i+2] != upperHex[c&15] {
				return false
			}
			i += escapeWidth
		}
	}
	return i == len(token)
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// Decode returns the name of a token, see schema.ParseToken.
func Decode(token string) (string, error) {
	switch {
	case token == "":
		return "", errorf("token is empty")
	case token == "-":
		return "", nil
	case len(token) > maxToken:
		return "", errorf("token %.40q… has %d characters: want at most %d", token, len(token), maxToken)
	}

	if head, hash, ok := strings.Cut(token, "=="); ok {
		if name, err := unescape(head); err != nil || Encode(name) != head || !isShortened(head, hash) {
			return "", errorf("token %q: want %d characters before \"==\" and %d hex digits after it",
				token, shortToken, hashDigits)
		}
		return "", ErrShortened
	}

	name, err := unescape(token)
	if err != nil {
		return "", err
	}
	if Encode(name) != token {
		return "", errorf("token %q: escapes a character that stands for itself", token)
	}
	return name, nil
}

func unescape(token string) (string, error) {
	name := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if isPlain(c) {
			name = append(name, c)
			continue
		}
		if c != '=' {
			return "", errorf("token %q: character %q at %d is not allowed", token, c, i)
		}

		if i+escapeWidth > len(token) {
			return "", errorf("token %q: escape at %d is cut short", token, i)
		}
		hi, lo := strings.IndexByte(upperHex, token[i+1]), strings.IndexByte(upperHex, token[i+2])
		if hi < 0 || lo < 0 {
			return "", errorf("token %q: escape at %d is not two upper-case hex digits", token, i)
		}
		name = append(name, byte(hi<<4|lo))
		i += escapeWidth - 1
	}
	return string(name), nil
}

// isShortened reports whether what stands around "==" can have been written by
// Encode: an escape is never cut in two, so up to two bytes may be missing.
func isShortened(head, hash string) bool {
	if len(head) > shortToken || len(head) < shortToken-2 || len(hash) != hashDigits {
		return false
	}
	_, err := hex.DecodeString(hash)
	return err == nil && strings.ToLower(hash) == hash
}
