package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// faked is one process of a faked procfs.
type faked struct {
	pid, parent int
	comm        string
	cmdline     []string
	environ     []string // nil: may not be read
	hidden      bool     // hidepid: nothing of it may be read
}

var vars = []string{"SUPERVISOR_ENABLED=1", "SUPERVISOR_GROUP_NAME=supernats", "SUPERVISOR_PROCESS_NAME=supernats"}

// procfs makes a directory like /proc. Each process was started at 100 times its id.
func procfs(t *testing.T, bootID string, self int, processes ...faked) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if bootID != "" {
		write("sys/kernel/random/boot_id", bootID+"\n")
	}
	if err := os.Symlink(strconv.Itoa(self), dir+"/self"); err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if p.hidden {
			continue
		}
		name := strconv.Itoa(p.pid)
		write(name+"/stat", fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %d 9 10 11\n", p.pid,
			p.comm, p.parent, 100*p.pid))
		write(name+"/cmdline", strings.Join(p.cmdline, "\x00")+"\x00")
		if p.environ != nil {
			write(name+"/environ", strings.Join(p.environ, "\x00")+"\x00")
		}
	}
	write(strconv.Itoa(self)+"/ns/keep", "")
	if err := os.Symlink("pid:[4026531836]", filepath.Join(dir, strconv.Itoa(self), "ns/pid")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestGather(t *testing.T) {
	none := []string{"PATH=/bin"}
	self := faked{pid: 50, parent: 40, comm: "supernats-bridg", environ: vars}
	root := faked{pid: 1, comm: "systemd", cmdline: []string{"/sbin/init"}, environ: none}
	super := faked{
		pid: 10, parent: 1, comm: "supervisord", cmdline: []string{"/usr/bin/python3", "/usr/bin/supervisord", "-n"},
		environ: none,
	}
	unreadable := func(f faked) faked { f.environ = nil; return f }
	hide := func(f faked) faked { f.hidden = true; return f }
	child := func(f faked, parent int) faked { f.parent = parent; return f }
	wrapper := func(pid, parent int, comm string, environ []string) faked {
		return faked{
			pid, parent, comm,
			[]string{comm, "-c", "supernats-bridge --server-url unix:///run/supervisord"},
			environ,
			false,
		}
	}
	called := func(cmdline ...string) faked {
		return faked{10, 1, filepath.Base(cmdline[0]), cmdline, nil, false}
	}

	for name, c := range map[string]struct {
		processes []faked
		environ   []string // ours, vars if nil
		answer    int      // of getPID; 0: there is no XML-RPC
		ns        int      // our own id, if procfs is of another pid namespace
		parents   bool     // the kernel tells a parent by a pidfd
		pid       int
		certain   bool
	}{
		"plain": {processes: []faked{child(self, 10), super, root}, pid: 10, certain: true},
		"of another user": {
			processes: []faked{child(self, 10), unreadable(super), root}, pid: 10, certain: true,
		},
		"renamed": {
			processes: []faked{child(self, 10), {10, 1, "services", []string{"services"}, none, false}, root}, pid: 10,
			certain: true,
		},
		"python -m": {
			processes: []faked{
				child(self, 10), called("/opt/py/bin/python3.11", "-u", "-m", "supervisor.supervisord", "-n"), root,
			},
			pid: 10, certain: true,
		},
		"python of a venv": {
			processes: []faked{child(self, 10), called("/venv/bin/python", "/venv/bin/supervisord"), root}, pid: 10,
			certain: true,
		},
		"the Go port": {
			processes: []faked{child(self, 10), called("/usr/local/bin/supervisord", "-c", "x"), root}, pid: 10,
			certain: true,
		},
		"the first process": {
			processes: []faked{child(self, 1), {1, 0, "supervisord", []string{"supervisord"}, none, false}}, pid: 1,
			certain: true,
		},
		"bash -c": {
			processes: []faked{self, wrapper(40, 10, "bash", vars), super, root}, pid: 10, certain: true,
		},
		"bash -c, of another user": {
			processes: []faked{self, wrapper(40, 10, "bash", nil), unreadable(super), root}, pid: 10, certain: true,
		},
		"sudo": {
			processes: []faked{self, wrapper(40, 10, "sudo", vars), super, root}, environ: none, pid: 10,
			certain: true,
		},
		"env -i bash -c": {
			processes: []faked{self, wrapper(40, 10, "bash", none), super, root}, environ: none, pid: 10,
			certain: true,
		},
		"su in bash in tini": {
			processes: []faked{
				self, wrapper(40, 30, "su", vars), wrapper(30, 20, "bash", vars), wrapper(20, 10, "tini", vars), super,
				root,
			},
			environ: none, pid: 10, certain: true,
		},
		"renamed, behind su": {
			processes: []faked{
				self, wrapper(40, 10, "su", vars), {10, 1, "services", []string{"services"}, none, false}, root,
			},
			environ: none, pid: 10, certain: true,
		},
		"nested": {
			processes: []faked{
				self, {40, 10, "supervisord", []string{"supervisord"}, append(none, vars...), false}, super, root,
			},
			environ: []string{"SUPERVISOR_PROCESS_NAME=inner"}, answer: 10, pid: 40, certain: true,
		},
		"nested, renamed": {
			processes: []faked{self, {40, 10, "services", []string{"services"}, vars, false}, super, root},
			environ:   []string{"SUPERVISOR_PROCESS_NAME=inner"}, answer: 10, pid: 40, certain: true,
		},
		"nested, behind env -i sh": {
			processes: []faked{
				{50, 45, "supernats-bridg", nil, none, false},
				wrapper(45, 40, "sh", none),
				{40, 10, "supervisord", []string{"supervisord"}, vars, false},
				super, root,
			},
			environ: none, answer: 10, pid: 40, certain: true,
		},
		"renamed, of another user": {
			processes: []faked{child(self, 10), {10, 1, "services", []string{"services"}, nil, false}, root}, pid: 10,
		},
		"the same, and it answers": {
			processes: []faked{child(self, 10), {10, 1, "services", []string{"services"}, nil, false}, root},
			answer:    10, pid: 10, certain: true,
		},
		"hidden": {processes: []faked{child(self, 10), hide(super)}, pid: 10},
		"hidden, it answers": {
			processes: []faked{child(self, 10), hide(super)}, answer: 10, pid: 10, certain: true,
		},
		"hidden, behind bash": {processes: []faked{self, wrapper(40, 10, "bash", vars), hide(super)}, pid: 10},
		"hidden, behind runuser": {
			processes: []faked{self, hide(wrapper(40, 10, "runuser", vars)), hide(super)}, pid: 40,
		},
		"hidden runuser, answers": {
			processes: []faked{self, hide(wrapper(40, 10, "runuser", vars)), hide(super)}, answer: 10, pid: 10,
			certain: true,
		},
		"hidden runuser, pidfd": {
			processes: []faked{self, hide(wrapper(40, 10, "runuser", vars)), hide(super)}, answer: 10, parents: true,
			pid: 10, certain: true,
		},
		"another one answers": {
			processes: []faked{child(self, 10), {10, 1, "services", []string{"services"}, nil, false}, root},
			answer:    7, pid: 10,
		},
		"nobody of that number": {processes: []faked{child(self, 10), hide(super)}, answer: 4711, pid: 10},
		"procfs of the outside": {
			processes: []faked{self, wrapper(40, 10, "unshare", vars), super, root}, answer: 1, ns: 3, pid: 10,
			certain: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			sys := System{
				Proc: procfs(t, "the-boot-id", 50, c.processes...), PID: 50, Parent: c.processes[0].parent, Environ: vars,
				Pidfd: func(pid int) (p Pidfd) {
					for _, f := range c.processes {
						if f.pid == pid && c.parents {
							p.Parent = f.parent
						}
					}
					return p
				},
				Alive:    func(pid int) bool { return pid != 4711 },
				BootTime: func() int64 { return 1 },
			}
			if c.environ != nil {
				sys.Environ = c.environ
			}
			if c.answer != 0 {
				sys.AskPID = func(context.Context) (int, error) { return c.answer, nil }
			}
			if c.ns != 0 {
				sys.PID, sys.Parent = c.ns, 1
				sys.Pidfd = func(int) Pidfd { t.Error("a number of another namespace is used in ours"); return Pidfd{} }
			}
			e := Gather(t.Context(), sys)
			if e.PID != c.pid || e.Certain != c.certain || e.BootID != "the-boot-id" {
				t.Errorf("found %+v, want process %d, certain %v", e, c.pid, c.certain)
			}
		})
	}
}

// What cannot be read is no error, and what can be used is.
func TestGatherLittle(t *testing.T) {
	ctx := t.Context()
	quiet := func(int) Pidfd { return Pidfd{} }
	gone := func(int) bool { return false }
	silent := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }

	empty := Gather(ctx, System{
		Proc: t.TempDir(), PID: 50, Parent: 10, Environ: vars, Pidfd: quiet, Alive: gone,
		BootTime: func() int64 { return 0 }, AskPID: silent,
	})
	if _, derived := empty.ID(); derived || empty.PID != 10 || empty.Certain {
		t.Errorf("without procfs: %+v", empty)
	}
	outside := Gather(ctx, System{Proc: t.TempDir(), PID: 1, Parent: 0, Environ: vars, Pidfd: quiet, Alive: gone})
	if _, derived := outside.ID(); derived || outside.PID != 0 {
		t.Errorf("in a pid namespace of our own: %+v", outside)
	}

	self := faked{pid: 50, parent: 10, comm: "supernats-bridg", environ: vars}
	super := faked{pid: 10, parent: 1, comm: "supervisord", cmdline: []string{"supervisord"}}
	subset := Gather(ctx, System{
		Proc: procfs(t, "", 50, self, super), PID: 50, Parent: 10, Environ: vars, Pidfd: quiet,
		BootTime: func() int64 { return 7 },
	})
	if _, derived := subset.ID(); !derived || subset.Ticks != 1000 || subset.BootTime != 7 {
		t.Errorf("without a boot id: %+v", subset)
	}
	inode := func(int) Pidfd { return Pidfd{Inode: 77} }
	bare := Gather(ctx, System{
		Proc: t.TempDir(), PID: 50, Parent: 10, Environ: vars, Pidfd: inode, BootTime: func() int64 { return 7 },
	})
	if _, derived := bare.ID(); !derived || bare.Inode != 77 {
		t.Errorf("without procfs on a new kernel: %+v", bare)
	}
}

func TestStartedTogether(t *testing.T) {
	self := faked{pid: 50, parent: 10, comm: "a ) b", environ: vars} // started at 5000
	sys := System{Proc: procfs(t, "b", 50, self), PID: 50, Parent: 10}
	for name, c := range map[string]struct {
		evidence Evidence
		want     bool
	}{
		"at once":       {evidence: Evidence{Ticks: 4990, Certain: true}, want: true},
		"later":         {evidence: Evidence{Ticks: 1000, Certain: true}, want: false},
		"before":        {evidence: Evidence{Ticks: 6000, Certain: true}, want: false},
		"not certain":   {evidence: Evidence{Ticks: 4990}, want: false},
		"start unknown": {evidence: Evidence{Inode: 3, Certain: true}, want: false},
	} {
		if got := StartedTogether(sys, c.evidence); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	e, id := full(), ID{1, 2}
	if got := Load(dir, id); got != nil {
		t.Errorf("of nothing: %+v", got)
	}
	for range 2 {
		if err := Save(dir, "supernats", id, e); err != nil {
			t.Fatal(err)
		}
	}
	if got := Load(dir, id); got == nil || *got != e {
		t.Errorf("kept %+v, got %+v", e, got)
	}
	if got := Load(dir, ID{3}); got != nil {
		t.Errorf("of another boot: %+v", got)
	}
	if err := os.WriteFile(dir+"/identity", []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Load(dir, id); got != nil {
		t.Errorf("of a damaged file: %+v", got)
	}
	slot := t.TempDir()
	if err := errors.Join(os.Mkdir(slot+"/slot-2", 0o755), Save(slot+"/slot-2", "supernats", id, e)); err != nil {
		t.Fatal(err)
	}
	for pool, listened := range map[string]bool{"supernats": true, "output": false, "": true} {
		if past := Known(slot, pool, e); !past.Known || past.ID != id || past.Listened != listened {
			t.Errorf("of another listener, for pool %q: %+v", pool, past)
		}
	}
	if past := Known(slot, "supernats", with(e, func(e *Evidence) { e.Inode++ })); past.Known {
		t.Errorf("of another supervisord: %+v", past)
	}
	if err := Save(dir+"/none", "supernats", id, e); err == nil {
		t.Error("no error of a directory that is missing")
	}
}
