package ownlog

import (
	"os"
	"strconv"
	"testing"
)

// TestLogIsSupervisords: a file is taken for supervisord's log only if it holds what
// only that can.
func TestLogIsSupervisords(t *testing.T) {
	t.Setenv("SUPERVISOR_PROCESS_NAME", "supernats")
	for text, want := range map[string]bool{
		"2026-11-21 19:00:31,833 INFO supervisord started with pid 4711\n":                                 true,
		"2026-11-21 19:00:31,833 INFO supervisord started with pid 47111\n":                                false,
		"2026-11-21 19:00:31,833 INFO spawned: 'supernats' with pid " + strconv.Itoa(os.Getpid()) + "\n":   true,
		"2026-11-21 19:00:31,833 INFO spawned: 'supernats' with pid " + strconv.Itoa(os.Getpid()+1) + "\n": false,
		"": false,
	} {
		path := t.TempDir() + "/log"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := OpenRegular(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := isLogOf(t.Context(), f, Supervisord{PID: 4711}); got != want {
			t.Errorf("%q: %v", text, got)
		}
		f.Close()
	}
}
