package boot

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// roleEnv makes the test binary a supervisord that runs its arguments as listeners,
// one after the other, or a bridge that prints its boot.
const roleEnv = "BOOT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "supervisord":
		os.Exit(supervise(os.Args[1:]))
	case "bridge":
		e := Gather(context.Background(), System{})
		id, derived := e.ID()
		fmt.Printf("%x %v %s\n", id, derived, e.By)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// supervise runs each command as supervisord does (process.py _spawn_as_child).
func supervise(commands []string) int {
	for _, command := range commands {
		cmd := exec.Command("sh", "-c", "exec "+command)
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, roleEnv) }),
			roleEnv+"=bridge", "GORACE=atexit_sleep_ms=0", "SUPERVISOR_ENABLED=1", "SUPERVISOR_GROUP_NAME=supernats", "SUPERVISOR_PROCESS_NAME=supernats")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			fmt.Printf("%s: %v\n", command, err)
		}
	}
	return 0
}

// supervised runs listeners under one process called name, after what setup does in
// a mount namespace of its own, and returns what each printed.
func supervised(t *testing.T, name, setup string, commands ...string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for d := dir; d != "/" && d != "."; d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o755) // other users run it
	}
	program := filepath.Join(dir, name)
	bridge := filepath.Join(dir, "supernats-bridge")
	for _, p := range []string{program, bridge} {
		if out, err := exec.Command("cp", self, p).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for i := range commands {
		commands[i] = strings.ReplaceAll(commands[i], "BRIDGE", bridge)
	}
	args := append([]string{program}, commands...)
	if setup != "" {
		if os.Getuid() != 0 {
			t.Skip("needs root")
		}
		args = append([]string{"unshare", "--mount", "sh", "-c", setup + ` && exec "$@"`, "sh"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), roleEnv+"=supervisord", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(commands) {
		t.Fatalf("%d listeners printed %q", len(commands), lines)
	}
	return lines
}

// agree checks that all have the boot of the first, one that can be found again.
func agree(t *testing.T, commands, lines []string) {
	t.Helper()
	for i, line := range lines {
		id, rest, _ := strings.Cut(line, " ")
		if want, _, _ := strings.Cut(lines[0], " "); id != want || !strings.HasPrefix(rest, "true ") {
			t.Errorf("%s\nhas %s\nwant %s", commands[i], line, lines[0])
		}
	}
}

// wrappers are what people put in front of a command.
func wrappers() []string {
	commands := []string{
		"BRIDGE",
		"BRIDGE", // a second time
		"env BRIDGE",
		"nohup BRIDGE",
		`bash -c 'export FOO=1; BRIDGE; echo >&2'`,
		`sh -c 'sh -c "BRIDGE; exit 0"; exit 0'`,
		`sh -c 'BRIDGE & wait $!'`,
		"setsid -w BRIDGE",
		"env -i " + roleEnv + "=bridge BRIDGE",
		"env -i " + roleEnv + "=bridge bash -c 'BRIDGE; exit 0'",
	}
	if os.Getuid() == 0 {
		commands = append(commands,
			"runuser -u nobody -- BRIDGE",
			"runuser -u nobody -- sh -c 'BRIDGE; exit 0'",
			"su -s /bin/sh -c BRIDGE nobody",
			"setpriv --reuid=65534 --regid=65534 --clear-groups BRIDGE",
			"setpriv --reuid=65534 --regid=65534 --clear-groups bash -c 'BRIDGE; exit 0'",
		)
	}
	for _, optional := range []string{"sudo -E", "sudo -u nobody " + roleEnv + "=bridge", "tini --", "dumb-init"} {
		if _, err := exec.LookPath(strings.Fields(optional)[0]); err == nil {
			commands = append(commands, optional+" BRIDGE")
		}
	}
	return commands
}

func TestWrappers(t *testing.T) {
	commands := wrappers()
	agree(t, commands, supervised(t, "supervisord", "", commands...))
}

// A supervisord of another name is known by the variables that it gives.
func TestRenamed(t *testing.T) {
	commands := []string{"BRIDGE", "env FOO=1 BRIDGE", `bash -c 'BRIDGE; exit 0'`, "setsid -w BRIDGE"}
	agree(t, commands, supervised(t, "services", "", commands...))
}

func TestOtherLivesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		id, _, _ := strings.Cut(supervised(t, "supervisord", "", "BRIDGE")[0], " ")
		if seen[id] {
			t.Errorf("two supervisords have the boot %s", id)
		}
		seen[id] = true
	}
}

// However much of procfs is hidden from some of the listeners, all find the same.
func TestHiddenProc(t *testing.T) {
	if openPidfd(os.Getpid()).Inode == 0 {
		t.Skip("this kernel has no pidfs")
	}
	const nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "
	commands := []string{
		"BRIDGE",
		nobody + "BRIDGE",
		nobody + "bash -c 'BRIDGE; exit 0'",
		nobody + "setsid -w BRIDGE",
	}
	for name, setup := range map[string]string{
		"hidepid=1":       "mount -t proc -o hidepid=1 proc /proc",
		"hidepid=2":       "mount -t proc -o hidepid=2 proc /proc",
		"subset=pid":      "mount -t proc -o subset=pid proc /proc",
		"no boot id":      "mount -t tmpfs none /proc/sys/kernel",
		"no proc at all":  "mount -t tmpfs none /proc",
		"both, no bootid": "mount -t proc -o hidepid=2,subset=pid proc /proc",
	} {
		t.Run(name, func(t *testing.T) {
			commands := slices.Clone(commands)
			if name == "no proc at all" {
				commands = commands[:2] // no wrapper can be seen
			}
			lines := supervised(t, "supervisord", setup, commands...)
			agree(t, commands, lines)
			t.Log(lines[1])
		})
	}
}

// A pid namespace between supervisord and its listener.
func TestPIDNamespace(t *testing.T) {
	commands := []string{
		"BRIDGE",
		"unshare --pid --fork BRIDGE", // the procfs of the outside
		"unshare --pid --fork --mount-proc BRIDGE",                      // nothing of it
		"unshare --pid --fork --mount-proc bash -c 'BRIDGE; exit 0'",    // a wrapper is the first process
		"unshare --pid --fork --mount-proc --user -r sh -c 'BRIDGE; :'", // and of another user
	}
	lines := supervised(t, "supervisord", "true", commands...)
	for _, line := range lines {
		t.Log(line)
	}
	if id, _, _ := strings.Cut(lines[0], " "); len(id) != 16 {
		t.Errorf("printed %q", lines)
	}
}
