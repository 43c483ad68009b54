package checkup

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What programs read: the names of the fields, and no field that says nothing.
func TestFindingsInJSON(t *testing.T) {
	r := Report{Check: "spool"}
	r.OK("%d files", 2)
	r.Warn("make room", "nearly full")
	r.Fail("", "full")
	r.Add(Finding{Status: Fail, Message: "m", Fix: "f", File: "/etc/supervisord.conf", Line: 3, Section: "eventlistener:supernats"})

	want := []string{
		`{"status":"ok","check":"spool","message":"2 files"}`,
		`{"status":"warn","check":"spool","message":"nearly full","fix":"make room"}`,
		`{"status":"fail","check":"spool","message":"full"}`,
		`{"status":"fail","check":"spool","message":"m","fix":"f","file":"/etc/supervisord.conf","line":3,"section":"eventlistener:supernats"}`,
	}
	var got []string
	for _, f := range r.Findings {
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A doctor ends with an error as soon as something fails, and not for a warning.
func TestErrorOfFindings(t *testing.T) {
	for _, c := range []struct {
		name     string
		findings []Finding
		want     string
	}{
		{name: "failures", findings: []Finding{{Status: Fail}, {Status: Warn}, {Status: Fail}}, want: "2 of 3 checks failed"},
		{name: "warnings", findings: []Finding{{Status: OK}, {Status: Warn}}},
		{name: "nothing"},
	} {
		got := ""
		if err := Error(c.findings); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A word of a command is one word for a shell too.
func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"": "''", "/var/lib": "/var/lib", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "ä": "'ä'",
	} {
		if got := Quote(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}
