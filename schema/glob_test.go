package schema_test

import (
	"strings"
	"testing"

	"supernats/schema"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		glob    string
		matches []string
		others  []string
	}{
		{glob: "", matches: []string{""}, others: []string{"a"}},
		{glob: "web1", matches: []string{"web1"}, others: []string{"web", "web11", "Web1"}},
		{glob: "*", matches: []string{"", "web1", "a/b", "日本"}},
		{glob: "**", matches: []string{"", "a/b"}},
		{glob: "web*", matches: []string{"web", "web1", "web/1"}, others: []string{"aweb", "we"}},
		{glob: "*.example.com", matches: []string{"web1.example.com"}, others: []string{"example.com"}},
		{glob: "a*b*c", matches: []string{"abc", "a-b-c", "abcbc", "aXbXbYc"}, others: []string{"acb", "ab"}},
		{glob: "api_?", matches: []string{"api_1", "api_é"}, others: []string{"api_", "api_10"}},
		{glob: "[a-c]1", matches: []string{"a1", "c1"}, others: []string{"d1", "1"}},
		{glob: "[^a-c]1", matches: []string{"d1"}, others: []string{"a1"}},
		{glob: "[!a-c]1", matches: []string{"d1"}, others: []string{"a1"}},
		{glob: "[a-]", matches: []string{"a", "-"}, others: []string{"b"}},
		{glob: "[-a]", matches: []string{"a", "-"}, others: []string{"b"}},
		{glob: `[\]\-]`, matches: []string{"]", "-"}, others: []string{`\`, "a"}},
		{glob: "[a-c-e]", matches: []string{"b", "-", "e"}, others: []string{"d"}},
		{glob: "{web,db}*", matches: []string{"web1", "db"}, others: []string{"we", "app"}},
		{glob: "a*{,x}", matches: []string{"a", "ax", "abc"}},
		{glob: "{a,b{c,d}}e", matches: []string{"ae", "bce", "bde"}, others: []string{"be", "ace"}},
		{glob: "*{a,b}*{c,d}", matches: []string{"ac", "xbxd", "abcd"}, others: []string{"ab", "ca"}},
		{glob: "{[,}],x}", matches: []string{",", "}", "x"}, others: []string{"[", "]"}},
		{glob: `\*`, matches: []string{"*"}, others: []string{"a", `\*`}},
		{glob: `{\,,a}`, matches: []string{",", "a"}},
		{glob: "a,b", matches: []string{"a,b"}, others: []string{"a"}},
		{glob: "a/*", matches: []string{"a/b", "a/b/c"}, others: []string{"a"}},
	} {
		g, err := schema.ParseGlob(c.glob)
		if err != nil || g.String() != c.glob {
			t.Errorf("%q: %v, %v", c.glob, g, err)
		}
		for _, name := range c.matches {
			if !g.Match(name) || !schema.MatchGlob(c.glob, name) {
				t.Errorf("%q does not match %q", c.glob, name)
			}
		}
		for _, name := range c.others {
			if g.Match(name) || schema.MatchGlob(c.glob, name) {
				t.Errorf("%q matches %q", c.glob, name)
			}
		}
	}
}

func TestParseGlobRefuses(t *testing.T) {
	for _, text := range []string{"[", "[]", "[]a]", "[^]", "[a", `[a\`, "{", "{a,b", "a}", "{a}}", `a\`} {
		_, err := schema.ParseGlob(text)
		if err == nil || !strings.Contains(err.Error(), "invalid glob") || !strings.Contains(err.Error(), "{a,b}") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMatchAny(t *testing.T) {
	if !schema.MatchAny(nil, "web1") || !schema.MatchAny([]string{"db*", "web?"}, "web1") ||
		schema.MatchAny([]string{"db*"}, "web1") {
		t.Error("an empty list matches all, another one what one of its globs matches")
	}
}

func TestQuoteGlob(t *testing.T) {
	for _, name := range []string{"web1", `a*b?[c]{d,e}\f`, ""} {
		g, err := schema.ParseGlob(schema.QuoteGlob(name))
		if err != nil || !g.Match(name) || g.Match(name+"x") {
			t.Errorf("%q: %q, %v", name, g, err)
		}
	}
	if got := schema.SplitGlobs([]string{schema.QuoteGlob("a,b")}); len(got) != 1 || !schema.MatchGlob(got[0], "a,b") {
		t.Errorf("in a list, a name with a comma is %q", got)
	}
	if g, _ := schema.ParseGlob("web1"); !g.IsPlain() || schema.HasGlobSigns("web1") || !schema.HasGlobSigns("web?") {
		t.Error("web1 is plain, web? is not")
	}
}

// FuzzGlob tries that no text makes the matching panic or last for ever, and that a
// quoted name is one.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"a*b*c", "aXbXc"}, {"{a,b{c,d}}e", "bde"}, {"[!a-c\\]]", "]"}, {"[", "["}, {"{a", "a"}, {`\`, `\`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, glob, name string) {
		if len(glob) > 60 || len(name) > 200 {
			return
		}
		if g, err := schema.ParseGlob(glob); err == nil && g.Match(name) != schema.MatchGlob(glob, name) {
			t.Errorf("%q and %q: parsed and not parsed differ", glob, name)
		}
		schema.MatchGlob(glob, name)
		if !schema.MatchGlob(schema.QuoteGlob(name), name) {
			t.Errorf("%q does not match itself", name)
		}
	})
}
