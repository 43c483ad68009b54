package letter

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/letter/custom"
	"supernats/consumer/notify/mail/lettertest"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
)

// TestInjection words what a hostile process could call itself and write.
func TestInjection(t *testing.T) {
	for _, evil := range lettertest.Evil() {
		name := wording.Clip(evil, 20)
		t.Run(name, func(t *testing.T) {
			w := NewWriter(&custom.Templates{}, notify.Identity{Instance: evil, Version: evil, URL: linked.URL}, time.UTC)
			for _, batch := range lettertest.Hostile(evil) {
				l, err := w.Write(batch, happened.Add(time.Second))
				if err != nil {
					t.Fatal(err)
				}
				harmless(t, batch, l)
			}
		})
	}
}

// title is every line of a text that is not indented, but the first.
var title = regexp.MustCompile(`^(Last lines of (stderr|stdout)( of .*)?:|To investigate:|Summary:|Events:|Since the last mail:|Not reported before:|Details:|Late: .* NATS could be reached\.|(Firing|Update|Resolved): .*, \d+ alerts?)$`)

// reporter is what testing.T and rapid.T have in common.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// harmless checks that nothing in a letter looks like what it is not.
func harmless(t reporter, batch []*notification, l Letter) {
	t.Helper()
	for _, f := range l.Fields {
		if len(f.Value) > 998 || strings.ContainsAny(f.Value, "\r\n\x00") || strings.TrimSpace(f.Value) == "" {
			t.Errorf("field %s is no legal one: %.120q", f.Name, f.Value)
		}
	}
	subject := l.Subject
	if n := utf8.RuneCountInString(subject); n > summary.MaxWidth || !strings.HasPrefix(subject, "[supervisor] ") {
		t.Errorf("subject of %d characters: %.300s", n, subject)
	}
	for _, text := range []string{subject, l.Text, l.HTML} {
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && !wording.Visible(r) }); i >= 0 {
			t.Errorf("%q is not escaped", text[i:min(len(text), i+10)])
		}
	}
	// The elements of the page are those of the template and no others.
	for _, tag := range regexp.MustCompile(`<[^>]*>`).FindAllString(l.HTML, -1) {
		if !regexp.MustCompile(`^</?(!DOCTYPE|html|a|head|meta|title|style|body|p|br|strong|span|b|i|h2|blockquote|ul|li|div|table|tr|td|pre)\b`).MatchString(tag) ||
			!strings.HasPrefix(tag, "<a ") && strings.Contains(tag, "evil") {
			t.Errorf("HTML holds %q", tag)
		}
	}
	// And so is every address.
	for _, a := range regexp.MustCompile(`<a\b[^>]*>`).FindAllString(l.HTML, -1) {
		if !regexp.MustCompile(`^<a href="https://ops\.example\.com/supernats/(alerts|mutes/new\?)[^"'<>\s]*"( style="[a-z0-9:;# -]+")?>$`).MatchString(a) {
			t.Errorf("HTML holds %q", a)
		}
	}
	// Every line of the text is ours: a log and a list are indented.
	first := summary.Of(newReport(batch).clean).Sentence
	for line := range strings.SplitSeq(l.Text, "\n") {
		if line != "" && !strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, " * ") && !title.MatchString(line) && line != first {
			t.Errorf("text holds the line %q", line)
		}
	}
}
