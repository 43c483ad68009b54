package wording_test

import (
	"strings"
	"testing"

	"supernats/consumer/wording"
)

func TestOption(t *testing.T) {
	for _, tc := range []struct{ name, want string }{
		{name: "api_00", want: " --process api_00"},
		{name: "进程 1", want: " --process '进程 1'"},
		{name: "it's", want: ` --process 'it'\''s'`},
		{name: "a*[b]?{c}", want: ` --process 'a\*\[b\]\?\{c\}'`},
		{name: "a,b", want: ` --process 'a\,b'`},
		{name: "-rf", want: " --process=-rf"},
		{name: "a\r\nb'\\", want: ` --process $'a\x0d\x0ab\'\\\\'`},
		{name: "\xff", want: ` --process $'\xff'`},
		{name: "$(reboot)", want: " --process '$(reboot)'"},
		{name: strings.Repeat("x", 500), want: " --process '" + strings.Repeat("x", 100) + "*'"},
	} {
		if got := wording.Option("process", tc.name); got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.name, got, tc.want)
		}
	}
}
