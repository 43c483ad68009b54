package bridge

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"supernats/bridge/spool"
	"supernats/bridge/spool/queue"
)

// A host without a spool is an error, and no spool is made.
func TestSpools(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	cfg := Config{Host: "web1", SpoolDir: dir}
	if _, err := cfg.Spools(); err == nil || !strings.Contains(err.Error(), `no spool of host "web1" in `+dir) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made")
	}
	var want []string
	for _, section := range []string{"a:a", "b:b"} {
		q, err := queue.Open(t.Context(), queue.Options{
			Spool: spool.Options{Max: 1 << 20, Sync: -1}, Owner: queue.Owner{Host: "web1", Section: section},
			Find: func() (string, error) { return dir, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		want = append(want, q.Dir())
	}
	if got, err := cfg.Spools(); err != nil || !slices.Equal(want, got) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
