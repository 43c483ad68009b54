package bridge

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// bootChild prints what Boot finds, or is the parent of such a child.
func bootChild(what string) int {
	if what == "parent" {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childOf("api", "api")...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if cmd.Run() != nil {
			return 1
		}
		return 0
	}
	boot, err := Boot()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("%x", boot)
	return 0
}

// childOf is what supervisord gives to one process (process.py, _spawn_as_child).
func childOf(group, name string) []string {
	return []string{bootEnv + "=child", "SUPERVISOR_ENABLED=1", "SUPERVISOR_GROUP_NAME=" + group, "SUPERVISOR_PROCESS_NAME=" + name}
}

func TestBoot(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// This process is supervisord; run returns the boot that a child finds.
	run := func(env []string, command ...string) string {
		t.Helper()
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), env...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", command, err)
		}
		if len(out) != 16 {
			t.Fatalf("%q prints %q", command, out)
		}
		return string(out)
	}
	const wrapped = `"$0"; exit $?` // a shell that stays
	want := run(childOf("supernats", "supernats"), self)
	for name, got := range map[string]string{
		"a second time":       run(childOf("supernats", "supernats"), self),
		"another listener":    run(childOf("mail", "mail_00"), self),
		"no variables":        run([]string{bootEnv + "=child"}, self),
		"in a shell":          run(childOf("supernats", "supernats"), "sh", "-c", wrapped, self),
		"in a shell, twice":   run(childOf("supernats", "supernats"), "sh", "-c", "sh -c '"+wrapped+"' \"$0\"; exit $?", self),
		"in a shell of a job": run(childOf("supernats", "supernats"), "sh", "-c", `"$0" & wait $!`, self),
	} {
		if got != want {
			t.Errorf("%s: boot is %s, not %s", name, got, want)
		}
	}
	others := []string{want}
	for range 2 {
		other := run([]string{bootEnv + "=parent"}, self)
		if slices.Contains(others, other) {
			t.Errorf("another supervisord has a boot of %s, as of %s", other, strings.Join(others, ", "))
		}
		others = append(others, other)
	}
}

func TestBootIsStable(t *testing.T) {
	first, err := Boot()
	if err != nil {
		t.Fatal(err)
	}
	if first == [8]byte{} {
		t.Error("boot is zero")
	}
	if second, err := Boot(); err != nil || second != first {
		t.Errorf("first %x, then %x, %v", first, second, err)
	}
}
