package codec

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/schema"
	"supernats/schema/schematest"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		data  string
		limit int
		want  []string
	}{
		// A limit that nothing fits in still ends: one character, or three bytes.
		{data: "aé进", limit: -1, want: []string{"a", "é", "进"}},
		{data: "aé进", want: []string{"a", "é", "进"}},
		{data: "\xffabcd", want: []string{"\xffab", "cd"}},
		{data: "\x00\x00", limit: 7, want: []string{"\x00", "\x00"}},
		{data: "进进", limit: 7, want: []string{"进", "进"}},
		{data: "进进", limit: 8, want: []string{"进进"}},
		{data: "abcdef", limit: 5, want: []string{"abc", "def"}},
		{data: "a\nb\nc", limit: 9, want: []string{"a\nb\nc"}},
		{data: "a\nb\nc", limit: 8, want: []string{"a\nb\n", "c"}},
		{data: "a\"b\\c", limit: 8, want: []string{"a\"b\\", "c"}},
		{data: "<&>\x7f", limit: 6, want: []string{"<&>\x7f"}},
		{data: "a\u2028b", limit: 8, want: []string{"a", "\u2028", "b"}},
		{data: "\xff\xfe\xfd\xfc", limit: 12, want: []string{"\xff\xfe\xfd\xfc"}},
		{data: "\xff\xfe\xfd\xfc", limit: 8, want: []string{"\xff\xfe\xfd", "\xfc"}},
	} {
		e := &schema.Event{Host: testHost, Event: schema.RemoteCommunication}
		setData(e, []byte(c.data))
		var got []string
		for _, p := range Split(e, c.limit) {
			got = append(got, string(textOf(p)))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q at %d (-want +got):\n%s", c.data, c.limit, diff)
		}
	}
}

func TestSplitNothing(t *testing.T) {
	for _, e := range []*schema.Event{
		{Event: schema.Tick5},
		{Event: schema.ProcessLogStdout, Data: new("")},
		{Event: schema.ProcessLogStdout, Data: new("a")},
		{Event: schema.ProcessLogStdout, DataBase64: []byte("\xff")},
		// Only its data is divided.
		{Event: schema.ProcessStateExited, Log: &schema.Log{Stderr: strings.Repeat("a", 1000)}},
	} {
		if got := Split(e, 8); len(got) != 1 || got[0] != e {
			t.Errorf("%+v is divided: %d parts", e, len(got))
		}
	}
}

func TestSplitProperties(t *testing.T) {
	text := rapid.OneOf(
		rapid.StringN(0, 400, -1),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "\"", "\\", "\n", "\b", "\v", "\x00", "\x1f", "\x7f", "<", "é", "进", "😀", "\u2028", "\u2029",
			"\uFFFD",
		}), 0, 100),
			func(s []string) string { return strings.Join(s, "") }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 400), func(b []byte) string { return string(b) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		data := text.Draw(t, "data")
		limit := rapid.IntRange(8, 200).Draw(t, "limit") // 8: one character as \u0000, and its quotes
		e := Decode(raw(schema.ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n"+data),
			testHost, testBoot)
		whole := len(marshal(t, jsonOf(e)))
		parts := Split(e, limit)
		if len(parts) == 1 {
			if parts[0] != e || whole > limit {
				t.Fatalf("one part for %d bytes, limit %d", whole, limit)
			}
			return
		}
		if e.Data != nil && whole <= limit {
			t.Fatalf("%d parts for %d bytes, limit %d", len(parts), whole, limit)
		}
		ids := map[string]bool{}
		var joined []byte
		for i, p := range parts {
			share := textOf(p)
			joined = append(joined, share...)
			if n := len(marshal(t, jsonOf(p))); n > limit || len(share) == 0 {
				t.Fatalf("part %d of %q has %d bytes in JSON, limit %d", i+1, share, n, limit)
			}
			if (p.Data == nil) != (e.Data == nil) || p.Data != nil && !utf8.Valid(share) {
				t.Fatalf("part %d of %q cuts a character in two", i+1, share)
			}
			if p.Part != i+1 || p.Parts != len(parts) {
				t.Fatalf("part %d says %d of %d", i+1, p.Part, p.Parts)
			}
			rest := *p
			rest.Part, rest.Parts, rest.Data, rest.DataBase64 = 0, 0, e.Data, e.DataBase64
			if diff := cmp.Diff(e, &rest); diff != "" {
				t.Fatalf("part %d differs (-whole +part):\n%s", i+1, diff)
			}
			ce := p.Envelope(testTime)
			b := marshal(t, ce)
			if refused := schematest.Refused(t, "event", b); refused != nil {
				t.Fatalf("%s\nis refused for %q", b, refused)
			}
			if back, err := UnmarshalEvent(b); err != nil || !cmp.Equal(ce, back) {
				t.Fatalf("%s\nis read as %v, %v", b, back, err)
			}
			ids[ce.ID] = true
		}
		if !bytes.Equal(joined, []byte(data)) {
			t.Fatalf("%q comes back as %q", data, joined)
		}
		if len(ids) != len(parts) {
			t.Fatalf("%d parts have %d ids", len(parts), len(ids))
		}
	})
}

// jsonOf is what stands in the JSON for the data of e.
func jsonOf(e *schema.Event) any {
	if e.Data != nil {
		return *e.Data
	}
	return e.DataBase64
}
