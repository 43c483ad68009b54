package token_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"supernats/schema/internal/token"
)

func TestIs(t *testing.T) {
	special := rapid.SampledFrom([]string{
		"", "-", "=2D", "a.b", "a=2Eb", "A",
		strings.Repeat("x", 178), strings.Repeat("x", 201), strings.Repeat(".", 66), strings.Repeat(".", 67),
	})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), special)
		name, other := text.Draw(t, "name"), text.Draw(t, "other")
		want := token.Encode(name)
		if !token.Is(want, name) {
			t.Fatalf("%q is not the token of %q", want, name)
		}
		for _, got := range []string{token.Encode(other), other, want + "x", want[:len(want)-1]} {
			if token.Is(got, name) != (got == want) {
				t.Fatalf("%q for %q", got, name)
			}
		}
	})
}

func TestDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 300), func(b []byte) string { return string(b) }).Draw(t,
			"name")
		text := token.Encode(name)
		switch back, err := token.Decode(text); {
		case errors.Is(err, token.ErrShortened):
			if !strings.Contains(text, "==") || len(text) > 200 {
				t.Fatalf("%q of %q is not shortened", text, name)
			}
		case err != nil || back != name:
			t.Fatalf("%q is %q, %v; want %q", text, back, err, name)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"web1", "web1.example.com", strings.Repeat("a.", 150)} {
		b.Run(name[:4], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				token.Encode(name)
			}
		})
	}
}
