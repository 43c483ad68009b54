package unit

import (
	"slices"
	"testing"
)

func TestQuoting(t *testing.T) {
	for _, c := range []struct{ arg, systemd, supervisord string }{
		{arg: "plain", systemd: "plain", supervisord: "plain"},
		{arg: "", systemd: `""`, supervisord: `""`},
		{arg: "a b", systemd: `"a b"`, supervisord: `"a b"`},
		{arg: "100%", systemd: "100%%", supervisord: "100%%"},
		{arg: "$x", systemd: "$$x", supervisord: "$x"},
		{arg: `a"b\c`, systemd: `"a\"b\\c"`, supervisord: `"a\"b\\c"`},
		{arg: "a#b", systemd: "a#b", supervisord: `"a#b"`},
	} {
		if got := quoteSystemd(c.arg); got != c.systemd {
			t.Errorf("systemd, %q: %s, want %s", c.arg, got, c.systemd)
		}
		if got := quoteSupervisord(c.arg); got != c.supervisord {
			t.Errorf("supervisord, %q: %s, want %s", c.arg, got, c.supervisord)
		}
	}
}

func TestServiceArgs(t *testing.T) {
	for _, c := range []struct{ given, want []string }{
		{given: []string{"consume", "--print-unit", "systemd"}, want: []string{"consume"}},
		{given: []string{"consume", "--print-unit=systemd", "-c", "/c.yaml"}, want: []string{"consume", "-c", "/c.yaml"}},
		{given: []string{"consume", "--config=c.yaml"}, want: []string{"consume", "--config=" + absolute("c.yaml")}},
		{given: []string{"consume", "-c"}, want: []string{"consume", "-c"}},
	} {
		if got := serviceArgs(c.given); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.given, got, c.want)
		}
	}
}
