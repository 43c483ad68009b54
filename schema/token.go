package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// maxToken is the longest token written out in full. A NATS server closes
	// the connection for good at a subject above 4 KB (MAX_CONTROL_LINE).
	maxToken = 200
	// shortToken is how much of a longer one is kept before its hash.
	shortToken = 180
	// hashDigits is how many hex digits of the name's SHA-256 follow "==".
	hashDigits = 16
)

// ErrShortened is returned for a token that holds only the beginning of its
// name and a hash: the plain name stands in the JSON.
var ErrShortened = errors.New("token is shortened, its name cannot be recovered")

func errorf(format string, args ...any) error { return fmt.Errorf("schema: "+format, args...) }

const upperHex = "0123456789ABCDEF"

// Token encodes a name (any bytes, of any length) as one token of a NATS
// subject and of a key of a bucket. Letters, digits, '_' and '-' of ASCII stay;
// every other byte is '=' and two hex digits; the empty name is "-", the name
// "-" is "=2D". At most 200 bytes long: see ErrShortened.
func Token(name string) string {
	switch name {
	case "":
		return "-"
	case "-":
		return "=2D"
	}
	n := len(name)
	for i := 0; i < len(name); i++ {
		if !plain(name[i]) {
			n += 2
		}
	}
	if n == len(name) && n <= maxToken {
		return name
	}
	var b strings.Builder
	b.Grow(min(n, maxToken))
	for i := 0; i < len(name); i++ {
		size := 1
		if !plain(name[i]) {
			size = 3
		}
		if n > maxToken && b.Len()+size > shortToken {
			sum := sha256.Sum256([]byte(name))
			return b.String() + "==" + hex.EncodeToString(sum[:])[:hashDigits]
		}
		if size == 1 {
			b.WriteByte(name[i])
			continue
		}
		b.WriteByte('=')
		b.WriteByte(upperHex[name[i]>>4])
		b.WriteByte(upperHex[name[i]&15])
	}
	return b.String()
}

// isToken reports whether token is Token(name), without making that.
func isToken(token, name string) bool {
	switch {
	case name == "", name == "-", len(token) > shortToken-2:
		return token == Token(name) // which may be shortened
	case len(token) < len(name):
		return false
	}
	i := 0
	for j := 0; j < len(name); j++ {
		switch c := name[j]; {
		case i >= len(token):
			return false
		case plain(c):
			if token[i] != c {
				return false
			}
			i++
		default:
			if i+3 > len(token) || token[i] != '=' || token[i+1] != upperHex[c>>4] || token[i+2] != upperHex[c&15] {
				return false
			}
			i += 3
		}
	}
	return i == len(token)
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// ParseToken returns the name that a token stands for. It refuses whatever
// Token does not write, so that one name has one token.
//
// Errors: ErrShortened, or one that quotes the token and says what is wrong.
func ParseToken(token string) (string, error) {
	switch {
	case token == "":
		return "", errorf("token is empty")
	case token == "-":
		return "", nil
	case len(token) > maxToken:
		return "", errorf("token %.40q… has %d characters, at most %d are allowed", token, len(token), maxToken)
	}
	if head, hash, ok := strings.Cut(token, "=="); ok {
		if name, err := unescape(head); err != nil || Token(name) != head || !isShortened(head, hash) {
			return "", errorf("token %q: \"==\" stands for a cut after %d characters and %d hex digits", token, shortToken, hashDigits)
		}
		return "", ErrShortened
	}
	name, err := unescape(token)
	if err != nil {
		return "", err
	}
	if Token(name) != token {
		return "", errorf("token %q: escapes a character that stands for itself", token)
	}
	return name, nil
}

func unescape(token string) (string, error) {
	name := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if plain(c) {
			name = append(name, c)
			continue
		}
		if c != '=' {
			return "", errorf("token %q: character %q at %d is not allowed", token, c, i)
		}
		if i+2 >= len(token) {
			return "", errorf("token %q: escape at %d is cut short", token, i)
		}
		hi, lo := strings.IndexByte(upperHex, token[i+1]), strings.IndexByte(upperHex, token[i+2])
		if hi < 0 || lo < 0 {
			return "", errorf("token %q: escape at %d is not two upper-case hex digits", token, i)
		}
		name = append(name, byte(hi<<4|lo))
		i += 2
	}
	return string(name), nil
}

// isShortened reports whether what stands around "==" can have been written by
// Token: an escape is never cut in two, so up to two bytes may be missing.
func isShortened(head, hash string) bool {
	if len(head) > shortToken || len(head) < shortToken-2 || len(hash) != hashDigits {
		return false
	}
	_, err := hex.DecodeString(hash)
	return err == nil && strings.ToLower(hash) == hash
}
