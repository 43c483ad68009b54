package bridge

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"supernats/bridge/eventlistener"
	"supernats/bridge/oom"
	"supernats/schema"
)

// Where memory ran out is stored with its event, whatever the cgroup is called, and
// belongs to a process that was killed only.
func TestMemoryFacts(t *testing.T) {
	ranOut := &schema.OOM{Cgroup: "/a b\n\"c\" supernats:{}", Limit: 2, Peak: 1}
	for _, tt := range []struct {
		name       string
		kernel, by *schema.Exit // by is what supervisord's log says
		want       *schema.OOM
	}{
		{"by the kernel", &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromKernel}, nil, ranOut},
		{"by the log", nil, &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromLog}, ranOut},
		{"another signal by the log", nil, &schema.Exit{Signal: "SIGTERM", Source: schema.ExitFromLog}, nil},
		{"a code by the log", nil, &schema.Exit{Code: new(1), Source: schema.ExitFromLog}, nil},
		{"no reason", nil, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const payload = "processname:web groupname:web from_state:RUNNING expected:0 pid:7"
			f := &facts{Exit: tt.kernel, OOM: ranOut}
			h := &eventlistener.Header{Event: schema.ProcessStateExited}
			line, f := cutFacts(h, f.append([]byte(payload)))
			if string(line) != payload || f == nil {
				t.Fatalf("read back as %q, %+v", line, f)
			}

			e := &schema.Event{Event: schema.ProcessStateExited, Expected: new(false), Exit: tt.by}
			f.apply(e)
			var got *schema.OOM
			if e.Exit != nil {
				got = e.Exit.OOM
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if tt.by != nil && tt.by.OOM != nil || f.Exit != nil && f.Exit.OOM != nil {
				t.Error("what others hold is changed")
			}
		})
	}
}

// Where nothing can be known of memory, the record of the start says so.
func TestMemoryTrouble(t *testing.T) {
	d, err := newDeaths(os.Getpid(), newWaker(nil, zerolog.Nop()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.watch.Close()
	d.memory.Close()
	d.memory = oom.New(t.TempDir())
	if problem := d.describe(true).Problem; !strings.Contains(problem, "out of memory are reported as killed only: no cgroup") {
		t.Errorf("the problem is %q", problem)
	}
}
