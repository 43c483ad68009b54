package deathreason

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

// Where the kernel and the log differ the kernel is right, and it is counted.
func TestPrefer(t *testing.T) {
	t.Parallel()
	kernel := func() *schema.Exit { return &schema.Exit{Code: new(3), Source: schema.ExitFromKernel} }
	spawn := &schema.Exit{SpawnErr: "can't find command '/x'"}
	for _, tt := range []struct {
		name              string
		kernel, log, want *schema.Exit
		differs           bool
	}{
		{name: "nobody knows"},
		{name: "only the log", log: &schema.Exit{Code: new(4)}, want: &schema.Exit{Code: new(4)}},
		{name: "only the kernel", kernel: kernel(), want: kernel()},
		{
			name:   "both agree",
			kernel: kernel(),
			log:    &schema.Exit{Code: new(3), Source: schema.ExitFromLog},
			want:   kernel(),
		},
		{
			name:    "they differ",
			kernel:  kernel(),
			log:     &schema.Exit{Code: new(4), Source: schema.ExitFromLog},
			want:    kernel(),
			differs: true,
		},
		{
			name:    "one says signal",
			kernel:  kernel(),
			log:     &schema.Exit{Signal: "SIGKILL"},
			want:    kernel(),
			differs: true,
		},
		{name: "there was no process", kernel: kernel(), log: spawn, want: spawn},
	} {
		t.Run(tt.name, func(t *testing.T) {
			differs := 0
			d := Received{Event: &schema.Event{Event: schema.ProcessStateBackoff, Exit: tt.log}, Kernel: tt.kernel}
			preferKernel([]Received{d}, func(*schema.Event, *schema.Exit, *schema.Exit) { differs++ })
			if diff := cmp.Diff(tt.want, d.Event.Exit); diff != "" {
				t.Error(diff)
			}
			if (differs > 0) != tt.differs {
				t.Errorf("counted %d times", differs)
			}
		})
	}
}
