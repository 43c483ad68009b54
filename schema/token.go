package schema

import (
	"fmt"

	"supernats/schema/internal/token"
)

// ErrShortened is returned for a token that holds only the beginning of its name and a
// hash. The full name stands in the JSON.
var ErrShortened = token.ErrShortened

// Token encodes a name (any bytes, of any length) as one token of a NATS subject and of a
// key of a bucket:
//
//   - the letters, digits, '_' and '-' of ASCII stay;
//   - every other byte becomes '=' and two hex digits;
//   - the empty name is "-", the name "-" is "=2D";
//   - what would be longer than 200 bytes is cut and gets a hash, see ErrShortened.
func Token(name string) string { return token.Encode(name) }

// ParseToken returns the name that a token stands for. It refuses what Token does not
// write, so that a name has one token only.
//
// Errors: ErrShortened, or one that quotes the token and says what is wrong with it.
func ParseToken(text string) (name string, err error) { return token.Decode(text) }

func errorf(format string, args ...any) error { return fmt.Errorf("schema: "+format, args...) }
