package lettertest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// Golden compares a text with a file of testdata.
func Golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// MustContain checks that a text holds all it should.
func MustContain(t testing.TB, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not hold %q", text, w)
		}
	}
}

// RunSamples runs a test with each of Samples.
func RunSamples(t *testing.T, test func(t *testing.T, name string, batch []*Notification)) {
	for _, s := range Samples() {
		t.Run(s.Name, func(t *testing.T) { test(t, s.Name, s.Batch) })
	}
}
