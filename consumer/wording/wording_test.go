package wording_test

import (
	"testing"

	"supernats/consumer/wording"
)

func TestProcessName(t *testing.T) {
	for _, tc := range []struct{ group, process, want string }{
		{group: "", process: "", want: ""},
		{group: "api", process: "", want: "api"},
		{group: "api", process: "api", want: "api"},
		{group: "", process: "api", want: "api"},
		{group: "api", process: "api_00", want: "api:api_00"},
	} {
		if got := wording.ProcessName(tc.group, tc.process); got != tc.want {
			t.Errorf("name of %q and %q is %q, want %q", tc.group, tc.process, got, tc.want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 hosts", 1: "1 host", 2: "2 hosts"} {
		if got := wording.Count(n, "host", "hosts"); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, tc := range []struct {
		texts []string
		want  string
	}{
		{texts: nil, want: ""},
		{texts: []string{"", ""}, want: ""},
		{texts: []string{"", "a"}, want: "a"},
		{texts: []string{"a", "", "b", ""}, want: "a, b"},
	} {
		if got := wording.Join(", ", tc.texts...); got != tc.want {
			t.Errorf("%q is %q, want %q", tc.texts, got, tc.want)
		}
	}
}
