package fastjson_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supernats/schema/internal/fastjson"
)

// marshal is what encoding/json writes without HTML escapes.
func marshal(t interface {
	Helper()
	Fatal(args ...any)
}, v any,
) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func drawText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"", "api", "\x00\x07\b\t\n\f\r\x1b\x7f", `"\/<>&`, "进程\u2028\u2029\ufffd", "\xff\xc3",
		}),
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 30), func(b []byte) string { return string(b) }),
	)
}

// What is appended is what encoding/json writes, and is read as encoding/json reads it.
func TestTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawText().Draw(t, "text")
		want := marshal(t, text)
		got := fastjson.AppendString(nil, text)
		if string(got) != want {
			t.Fatalf("%s, want %s", got, want)
		}

		c := fastjson.NewScanner(got)
		var back string
		if err := json.Unmarshal([]byte(want), &back); err != nil {
			t.Fatal(err)
		}
		if read := c.Text(); read != back || !c.AtEnd() {
			t.Fatalf("%s is read as %q", got, read)
		}
	})
}

func TestFloats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.OneOf(
			rapid.SampledFrom([]float64{
				0, math.Copysign(0, -1), 1e-6, 9.99e-7, 1e21, 9.99e20, 5e-324, -1e-9, 187_442.031,
			}),
			rapid.Float64(),
		).Draw(t, "number")
		want := marshal(t, f)
		got := fastjson.AppendFloat(nil, f)
		if string(got) != want {
			t.Fatalf("%s, want %s", got, want)
		}

		c := fastjson.NewScanner(got)
		if back := c.Float(); back != f || !c.AtEnd() {
			t.Fatalf("%s is read as %g", got, back)
		}
	})
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := fastjson.AppendFloat(nil, f); string(got) != "0" {
			t.Errorf("%g: %s", f, got)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Time
		want string
	}{
		{
			name: "microseconds", at: time.Date(2026, 11, 21, 20, 0, 31, 833_512_999, time.FixedZone("", 3600)),
			want: `"2026-11-21T19:00:31.833512Z"`,
		},
		{name: "before year 0", at: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), want: `"0000-01-01T00:00:00.000000Z"`},
		{
			name: "after year 9999", at: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
			want: `"9999-12-31T23:59:59.999999Z"`,
		},
	} {
		got := fastjson.AppendTime(nil, c.at)
		if string(got) != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		s := fastjson.NewScanner(got)
		if back := s.Time(); !back.Equal(fastjson.Writable(c.at).Truncate(time.Microsecond)) || !s.AtEnd() {
			t.Errorf("%s: %s is read as %v", c.name, got, back)
		}
	}
}

func TestObjects(t *testing.T) {
	write := func(b []byte) []byte {
		b = append(b, '{')
		start := len(b)
		b = fastjson.AppendField(b, `,"a":`, "")
		b = fastjson.AppendField(b, `,"b":`, "x")
		b = fastjson.AppendCount(b, `,"c":`, 0)
		b = fastjson.AppendCount(b, `,"d":`, 7)
		b = fastjson.AppendInt(b, `,"e":`, -7)
		return append(fastjson.DropComma(b, start), '}')
	}
	const want = `{"b":"x","d":7,"e":-7}`
	if got := string(write(nil)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := fastjson.DropComma([]byte("{"), 1); string(got) != "{" {
		t.Errorf("%s", got)
	}

	c := fastjson.NewScanner([]byte(want))
	c.Open()
	a := c.Next(`"a":`)
	b := c.Next(`"b":`) && c.Text() == "x"
	d := c.Next(`"d":`) && c.Uint() == 7
	e := c.Next(`"e":`) && c.Int() == -7
	c.Must(`}`)
	if a || !b || !d || !e || !c.AtEnd() {
		t.Errorf("a %v, b %v, d %v, e %v, at the end %v", a, b, d, e, c.AtEnd())
	}
}

func TestNextKey(t *testing.T) {
	c := fastjson.NewScanner([]byte(`{"a":1,"b\n":2}`))
	c.Open()
	got := map[string]uint64{}
	for key, ok := c.NextKey(); ok; key, ok = c.NextKey() {
		got[key] = c.Uint()
	}
	c.Must(`}`)
	if !c.AtEnd() || len(got) != 2 || got["a"] != 1 || got["b\n"] != 2 {
		t.Errorf("%v", got)
	}
}

// What is not of the form makes the Scanner bad, and it stays so.
func TestScannerRefuses(t *testing.T) {
	number := func(c *fastjson.Scanner) { c.Uint() }
	for payload, read := range map[string]func(c *fastjson.Scanner){
		"":                     number,
		"01":                   number,
		"18446744073709551616": number,
		"-9223372036854775809": func(c *fastjson.Scanner) { c.Int64() },
		"tru":                  func(c *fastjson.Scanner) { c.Bool() },
		"1.":                   func(c *fastjson.Scanner) { c.Float() },
		`"open`:                func(c *fastjson.Scanner) { c.Text() },
		`"\ud83d"`:             func(c *fastjson.Scanner) { c.Text() },
		`"2026-02-30T00:00:00.000000Z"`: func(c *fastjson.Scanner) {
			c.Time()
		},
		"{}": func(c *fastjson.Scanner) {
			c.Open()
			c.Must(`"a":`)
			c.Must(`}`)
		},
	} {
		c := fastjson.NewScanner([]byte(payload))
		read(&c)
		if c.AtEnd() {
			t.Errorf("%s is read", payload)
		}
	}
}

// The choice of escapes is no promise of encoding/json.
func TestSizeOf(t *testing.T) {
	for r := range rune(0x3000) {
		char := string(r)
		if got, want := fastjson.SizeOf([]byte(char)), len(marshal(t, char))-2; got != want {
			t.Errorf("%q has %d bytes, want %d", char, got, want)
		}
	}
}

var benchTexts = map[string]string{
	"name":   "web1.example.com",
	"log4KB": strings.Repeat("a line of a log, 32 bytes long.\n", 128),
	"plain":  strings.Repeat("x", 4096),
}

func BenchmarkAppendString(b *testing.B) {
	for name, text := range benchTexts {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			var buf []byte
			for b.Loop() {
				buf = fastjson.AppendString(buf[:0], text)
			}
		})
	}
}

func BenchmarkText(b *testing.B) {
	for name, text := range benchTexts {
		payload := fastjson.AppendString(nil, text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				c := fastjson.NewScanner(payload)
				c.Text()
			}
		})
	}
}
