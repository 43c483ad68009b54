package schematest

import (
	"strings"

	"pgregory.net/rapid"
)

// AnyName draws names of any bytes, many of them near what is special: the
// empty name, "-", escapes, and the length at which a token is shortened.
func AnyName() *rapid.Generator[string] {
	special := rapid.SampledFrom([]string{
		"-", "_", "=", "==", "2", "D", "2D", ".", "*", ">", " ", "é", "\xff", "\x00", "a", "Z",
	})
	return rapid.OneOf(
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 300), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.SliceOfN(special, 0, 6), func(s []string) string { return strings.Join(s, "") }),
		rapid.Map(rapid.SliceOfN(special, 60, 260), func(s []string) string { return strings.Join(s, "") }),
		rapid.String(),
	)
}
