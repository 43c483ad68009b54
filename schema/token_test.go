package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"supernats/schema/schematest"
)

var (
	tokenForm = regexp.MustCompile(`^[A-Za-z0-9_=-]+$`)
	// keyForm is what nats.go allows as a key of a bucket (jetstream/kv.go).
	keyForm = regexp.MustCompile(`^[-/_=\.a-zA-Z0-9]+$`)
)

func TestParseTokenErrors(t *testing.T) {
	hash := "0123456789abcdef"
	for _, c := range []struct{ token, want string }{
		{want: "empty"},
		{token: "a.b", want: "not allowed"},
		{token: "a b", want: "not allowed"},
		{token: "a*", want: "not allowed"},
		{token: ">", want: "not allowed"},
		{token: "é", want: "not allowed"},
		{token: "a\x00", want: "not allowed"},
		{token: "=", want: "cut short"},
		{token: "a=2", want: "cut short"},
		{token: "a=2e", want: "upper-case"},
		{token: "a=GG", want: "upper-case"},
		{token: "=61", want: "stands for itself"},
		{token: "a=2D", want: "stands for itself"},
		{token: strings.Repeat("a", 201), want: "201 characters"},
		{token: "==" + hash, want: "want 180 characters"},
		{token: strings.Repeat("a", 177) + "==" + hash, want: "want 180 characters"},
		{token: strings.Repeat("a", 181) + "==" + hash, want: "want 180 characters"},
		{token: strings.Repeat("a", 180) + "==", want: "want 180 characters"},
		{token: strings.Repeat("a", 180) + "==" + strings.ToUpper(hash), want: "want 180 characters"},
		{token: strings.Repeat("a", 180) + "==" + hash[1:] + "g", want: "want 180 characters"},
		{token: strings.Repeat("a", 179) + "=" + "==" + hash, want: "want 180 characters"},
		{token: strings.Repeat("a", 177) + "=61" + "==" + hash, want: "want 180 characters"},
	} {
		name, err := ParseToken(c.token)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ParseToken(%q) = %q, %v; want an error with %q", c.token, name, err, c.want)
		}
		if errors.Is(err, ErrShortened) {
			t.Errorf("ParseToken(%q) takes it for a shortened token", c.token)
		}
	}
}

func TestToken(t *testing.T) {
	for _, c := range []struct{ name, token string }{
		{token: "-"},
		{name: "-", token: "=2D"},
		{name: "--", token: "--"},
		{name: "a-b_C9", token: "a-b_C9"},
		{name: "=", token: "=3D"},
		{name: "=2D", token: "=3D2D"},
		{name: "web1.example.com", token: "web1=2Eexample=2Ecom"},
		{name: "my.app-weird*>é", token: "my=2Eapp-weird=2A=3E=C3=A9"},
		{name: " \x00\xff/", token: "=20=00=FF=2F"},
		{name: strings.Repeat("x", 200), token: strings.Repeat("x", 200)},
		{name: strings.Repeat(".", 66), token: strings.Repeat("=2E", 66)},
	} {
		if got := Token(c.name); got != c.token {
			t.Errorf("Token(%q) = %q, want %q", c.name, got, c.token)
		}
		if got, err := ParseToken(c.token); got != c.name || err != nil {
			t.Errorf("ParseToken(%q) = %q, %v; want %q", c.token, got, err, c.name)
		}
	}
}

func TestTokenShortened(t *testing.T) {
	for _, c := range []struct{ name, head string }{
		{name: strings.Repeat("x", 201), head: strings.Repeat("x", 180)},
		{name: strings.Repeat("x", 100_000), head: strings.Repeat("x", 180)},
		{name: strings.Repeat(".", 67), head: strings.Repeat("=2E", 60)},
		{name: "x" + strings.Repeat(".", 100), head: "x" + strings.Repeat("=2E", 59)},
		{name: "xx" + strings.Repeat(".", 100), head: "xx" + strings.Repeat("=2E", 59)},
		{name: "xxx" + strings.Repeat(".", 100), head: "xxx" + strings.Repeat("=2E", 59)},
		{name: strings.Repeat("x", 199) + ".", head: strings.Repeat("x", 180)},
	} {
		sum := sha256.Sum256([]byte(c.name))
		want := c.head + "==" + hex.EncodeToString(sum[:8])
		got := Token(c.name)
		if got != want {
			t.Errorf("Token(%.20q… of %d) = %q, want %q", c.name, len(c.name), got, want)
		}
		if name, err := ParseToken(got); !errors.Is(err, ErrShortened) || name != "" {
			t.Errorf("ParseToken(%q) = %q, %v; want ErrShortened", got, name, err)
		}
	}
}

func TestTokenRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := schematest.AnyName().Draw(t, "name")
		token := Token(name)
		if !tokenForm.MatchString(token) || !keyForm.MatchString(token) || len(token) > 200 {
			t.Fatalf("Token(%q) = %q is not legal", name, token)
		}
		got, err := ParseToken(token)
		if strings.Contains(token, "==") {
			if !errors.Is(err, ErrShortened) {
				t.Fatalf("ParseToken(%q) = %q, %v; want ErrShortened", token, got, err)
			}
			return
		}
		if err != nil || got != name {
			t.Fatalf("ParseToken(Token(%q)) = %q, %v", name, got, err)
		}
	})
}

// Names with one letter changed, and long ones that begin alike, are those that
// a wrong encoding would give one token.
func TestTokenInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := schematest.AnyName().Draw(t, "a")
		b := schematest.AnyName().Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			i := rapid.IntRange(0, len(a)).Draw(t, "i")
			b = a[:i] + rapid.SampledFrom([]string{"", "-", "=", "=2D", ".", "\xff"}).Draw(t, "insert") +
				a[min(len(a), i+rapid.IntRange(0, 1).Draw(t, "cut")):]
		}
		if a != b && Token(a) == Token(b) {
			t.Fatalf("%q and %q share the token %q", a, b, Token(a))
		}
	})
}

func TestParseTokenCanonical(t *testing.T) {
	letters := rapid.SampledFrom([]string{
		"=", "=2D", "=2E", "=61", "=C3", "-", "a", "Z", "_", "9", "2E", "f", ".", "==",
	})
	rapid.Check(t, func(t *rapid.T) {
		token := strings.Join(rapid.SliceOfN(letters, 0, 8).Draw(t, "token"), "")
		if name, err := ParseToken(token); err == nil && Token(name) != token {
			t.Fatalf("ParseToken(%q) = %q, whose token is %q", token, name, Token(name))
		}
	})
}

func FuzzParseToken(f *testing.F) {
	for _, s := range []string{
		"", "-", "=2D", "web1=2Eexample", "=61", "a=", strings.Repeat("a", 201), Token(strings.Repeat("é", 99)),
		Token(strings.Repeat("a.", 99)),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseToken(s)
		switch {
		case err == nil && Token(name) != s:
			t.Errorf("ParseToken(%q) = %q, whose token is %q", s, name, Token(name))
		case err != nil && name != "":
			t.Errorf("ParseToken(%q) returns the name %q with an error", s, name)
		case errors.Is(err, ErrShortened) && (!tokenForm.MatchString(s) || len(s) > 200):
			t.Errorf("ParseToken(%q) takes it for a shortened token", s)
		}
		// s as a name: it comes back, or its token is shortened.
		if back, err := ParseToken(Token(s)); back != s && !errors.Is(err, ErrShortened) {
			t.Errorf("ParseToken(Token(%q)) = %q, %v", s, back, err)
		}
	})
}
