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
		{"nobody knows", nil, nil, nil, false},
		{"only the log", nil, &schema.Exit{Code: new(4)}, &schema.Exit{Code: new(4)}, false},
		{"only the kernel", kernel(), nil, kernel(), false},
		{"both agree", kernel(), &schema.Exit{Code: new(3), Source: schema.ExitFromLog}, kernel(), false},
		{"they differ", kernel(), &schema.Exit{Code: new(4), Source: schema.ExitFromLog}, kernel(), true},
		{"one says signal", kernel(), &schema.Exit{Signal: "SIGKILL"}, kernel(), true},
		{"there was no process", kernel(), spawn, spawn, false},
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
