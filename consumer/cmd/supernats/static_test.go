package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What `task build` makes runs where nothing else is: no C library, no time zones,
// no certificates, no /etc/passwd.
func TestStaticPrograms(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build := exec.Command("go", "tool", "-modfile=tools.mod", "task", "build", "OUT="+root)
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("task build: %v\n%s", err, out)
	}

	const rules = `rules:
  - name: nightly
    event: PROCESS_STATE_EXITED
    mute_during:
      - {times: [{start_time: "02:00", end_time: "02:30"}], location: Europe/Vienna}
`
	if err := os.WriteFile(filepath.Join(root, "supernats.yaml"), []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		args []string
		want string
	}{
		{args: []string{"supernats-bridge", "version"}, want: "supernats-bridge "},
		{args: []string{"supernats", "version"}, want: "supernats "},
		{args: []string{"supernats", "rules", "check", "/supernats.yaml"}, want: "1 rule"},
	} {
		program := filepath.Join(root, c.args[0])
		if f, err := elf.Open(program); err != nil {
			t.Error(err)
		} else {
			if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
				t.Errorf("%s needs %q, %v", c.args[0], libraries, err)
			}
			_ = f.Close()
		}

		run := exec.Command(program, c.args[1:]...)
		if os.Geteuid() == 0 {
			run.Path, run.Dir = "/"+c.args[0], "/"
			run.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		} else if c.args[len(c.args)-1] == "/supernats.yaml" {
			run.Args[len(run.Args)-1] = root + "/supernats.yaml"
		}
		run.Env = []string{}
		out, err := run.CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%q: %v\n%s", c.args, err, out)
		}
	}
}
