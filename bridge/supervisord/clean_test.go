package supervisord

import (
	"encoding/xml"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, test := range []struct {
		in, want string
		added    int
	}{
		{want: ""},
		{in: "a\x00b", want: "a\uFFFDb", added: 2},
		{in: "\x1b[31mred\x1b[0m", want: "\uFFFD[31mred\uFFFD[0m", added: 4},
		{in: "caf\xe4", want: "caf\uFFFD", added: 2},
		{in: "\xe8\xbf", want: "\uFFFD\uFFFD", added: 4},
		{in: "\xed\xa0\x80", want: "\uFFFD\uFFFD\uFFFD", added: 6}, // a surrogate
		{in: "\uFFFE\uFFFF", want: "\uFFFD\uFFFD"},
		{in: "a&#27;b&#x1b;c&#0;", want: "a\uFFFDb\uFFFDc\uFFFD", added: 6},
		{in: "&#xD800;&#x110000;&#99999999999;&#;&#x;", want: "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD", added: 10},
		{in: "a\r\nb\r", want: "a&#13;\nb&#13;"},

		{in: "plain\ttext\n进程退出 \uFFFD é", want: "plain\ttext\n进程退出 \uFFFD é"},
		{in: "&lt;&amp;&#10;&#233;&#x1F600;&# &#", want: "&lt;&amp;&#10;&#233;&#x1F600;&# &#"},
	} {
		got, added := clean([]byte(test.in))
		if string(got) != test.want || added != test.added {
			t.Errorf("clean(%q) = %q, %d; want %q, %d", test.in, got, added, test.want, test.added)
		}
	}
}

// FuzzClean: whatever a log held, it is text of an XML document afterwards, and
// how much longer it has become is reported correctly.
func FuzzClean(f *testing.F) {
	f.Add([]byte("\x1b[31m进\xe8\x00\r\n]]x"))
	f.Fuzz(func(t *testing.T, log []byte) {
		// As xmlrpclib writes a string.
		body := []byte("<value>")
		for _, b := range log {
			switch b {
			case '<', '>', '&':
				body = append(body, "&#"+map[byte]string{'<': "60", '>': "62", '&': "38"}[b]+";"...)
			default:
				body = append(body, b)
			}
		}
		body = append(body, "</value>"...)
		out, added := clean(body)
		var s string
		if err := xml.Unmarshal(out, &s); err != nil || !utf8.ValidString(s) {
			t.Fatalf("%q: %v", out, err)
		}
		if len(s)-added != len(log) {
			t.Errorf("%q became %q: %d bytes, %d of them added, of %d", log, s, len(s), added, len(log))
		}
	})
}
