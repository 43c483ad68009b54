package templating

import (
	"errors"
	"strings"
	"testing"
	"text/template"
)

func TestFunctions(t *testing.T) {
	for _, c := range []struct{ name, source, want, wantErr string }{
		{name: "no number of bytes", source: `{{bytes "x"}}`, wantErr: "want a number of bytes"},
		{name: "fewer than none", source: `{{bytes -1}}`, wantErr: "want a number of bytes"},
		{name: "bytes", source: `{{bytes 2048}}`, want: "2.0 KiB"},
		{name: "an empty text", source: `{{"" | default "none"}}`, want: "none"},
		{name: "a text", source: `{{"a" | default "none"}}`, want: "a"},
		{name: "in a row", source: `{{" AB " | trim | lower | replace "b" "c"}}`, want: "ac"},
		{name: "one of its own", source: `{{upper "a"}}`, want: "its own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			own := map[string]any{"upper": func(string) string { return "its own" }}
			var w strings.Builder
			err := template.Must(template.New("").Funcs(Functions(own)).Parse(c.source)).Execute(&w, nil)
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Errorf("error %v, want %q", err, c.wantErr)
				}
				return
			}
			if err != nil || w.String() != c.want {
				t.Errorf("got %q and %v, want %q", w.String(), err, c.want)
			}
		})
	}
}

func TestLimited(t *testing.T) {
	l := &Limited{Most: 3, TooLong: errors.New("too long")}
	if _, err := l.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("d")); err != l.TooLong || l.String() != "abc" {
		t.Errorf("error %v, kept %q", err, l.String())
	}
}
