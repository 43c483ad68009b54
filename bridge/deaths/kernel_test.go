package deaths

import (
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"supernats/bridge/oom"
)

// Where nothing can be known of memory, the record of the start reports that.
func TestMemoryTrouble(t *testing.T) {
	d, err := newKernel(os.Getpid(), newWaker(nil, zerolog.Nop()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.watch.Close()
	d.memory.Close()
	d.memory = oom.New(t.TempDir())
	if problem := d.describeWatch(true).Problem; !strings.Contains(problem,
		"out of memory are reported as killed only: no cgroup") {
		t.Errorf("the problem is %q", problem)
	}
}
