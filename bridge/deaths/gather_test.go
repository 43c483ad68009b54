package deaths

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"supernats/schema"
)

func TestExitOf(t *testing.T) {
	t.Parallel()
	for status, want := range map[unix.WaitStatus]schema.Exit{
		42 << 8:   {Code: new(42)},
		0:         {Code: new(0)},
		9:         {Signal: "SIGKILL"},
		11 | 0x80: {Signal: "SIGSEGV", Core: true},
		29:        {Signal: "SIGPOLL"},
		34:        {Signal: "SIGRTMIN"},
		35:        {Signal: "signal 35"},
		64:        {Signal: "SIGRTMAX"},
	} {
		want.Source = schema.ExitFromKernel
		if diff := cmp.Diff(&want, exitOf(status)); diff != "" {
			t.Errorf("status %#x: %s", int(status), diff)
		}
	}
	if e := exitOf(0x7f); e != nil { // stopped
		t.Errorf("a process that was stopped has ended: %+v", e)
	}
}
