package glob_test

import (
	"strings"
	"testing"

	"supernats/schema/internal/glob"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{pattern: "", name: "", want: true},
		{pattern: "a*", name: "a", want: true},
		{pattern: "a*{,x}", name: "a", want: true},
		{pattern: "*b*d", name: "abcbd", want: true},
		{pattern: "*b*d", name: "abc", want: false},
		{pattern: "[a-c]?", name: "bé", want: true},
		{pattern: "[!a-c]", name: "b", want: false},
		{pattern: "{a,b{c,d}}e", name: "bde", want: true},
		{pattern: `\{a`, name: "{a", want: true},
		{pattern: "[a", name: "a", want: false},
		{pattern: "{a", name: "a", want: false},
		{pattern: `a\`, name: "a", want: false},
	} {
		if got := glob.Match(c.pattern, c.name); got != c.want {
			t.Errorf("%q and %q: %v", c.pattern, c.name, got)
		}
	}
}

// However many stars there are, only the last one is ever tried again.
func TestStarsDoNotMultiply(t *testing.T) {
	pattern := strings.Repeat("*a", 200) + "b"
	if glob.Match(pattern, strings.Repeat("a", 2000)) {
		t.Error("there is no b")
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, pattern := range []string{"web*", "*.example.com", "{web,db}*"} {
		b.Run(pattern, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				glob.Match(pattern, "web1.example.com")
			}
		})
	}
}
