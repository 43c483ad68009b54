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
		write(name+"/stat", fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %d 9 10 11\n", p.pid, p.comm, p.parent, 100*p.pid))
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
	super := faked{pid: 10, parent: 1, comm: "supervisord", cmdline: []string{"/usr/bin/python3", "/usr/bin/supervisord", "-n"}, environ: none}
	unreadable := func(f faked) faked { f.environ = nil; return f }
	hide := func(f faked) faked { f.hidden = true; return f }
	child := func(f faked, parent int) faked { f.parent = parent; return f }
	wrapper := func(pid, parent int, comm string, environ []string) faked {
		return faked{pid, parent, comm, []string{comm, "-c", "supernats-bridge --server-url unix:///run/supervisord"}, environ, false}
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
		"plain":                    {[]faked{child(self, 10), super, root}, nil, 0, 0, false, 10, true},
		"of another user":          {[]faked{child(self, 10), unreadable(super), root}, nil, 0, 0, false, 10, true},
		"renamed":                  {[]faked{child(self, 10), {10, 1, "services", []string{"services"}, none, false}, root}, nil, 0, 0, false, 10, true},
		"python -m":                {[]faked{child(self, 10), called("/opt/py/bin/python3.11", "-u", "-m", "supervisor.supervisord", "-n"), root}, nil, 0, 0, false, 10, true},
		"python of a venv":         {[]faked{child(self, 10), called("/venv/bin/python", "/venv/bin/supervisord"), root}, nil, 0, 0, false, 10, true},
		"the Go port":              {[]faked{child(self, 10), called("/usr/local/bin/supervisord", "-c", "x"), root}, nil, 0, 0, false, 10, true},
		"the first process":        {[]faked{child(self, 1), {1, 0, "supervisord", []string{"supervisord"}, none, false}}, nil, 0, 0, false, 1, true},
		"bash -c":                  {[]faked{self, wrapper(40, 10, "bash", vars), super, root}, nil, 0, 0, false, 10, true},
		"bash -c, of another user": {[]faked{self, wrapper(40, 10, "bash", nil), unreadable(super), root}, nil, 0, 0, false, 10, true},
		"sudo":                     {[]faked{self, wrapper(40, 10, "sudo", vars), super, root}, none, 0, 0, false, 10, true},
		"env -i bash -c":           {[]faked{self, wrapper(40, 10, "bash", none), super, root}, none, 0, 0, false, 10, true},
		"su in bash in tini":       {[]faked{self, wrapper(40, 30, "su", vars), wrapper(30, 20, "bash", vars), wrapper(20, 10, "tini", vars), super, root}, none, 0, 0, false, 10, true},
		"renamed, behind su":       {[]faked{self, wrapper(40, 10, "su", vars), {10, 1, "services", []string{"services"}, none, false}, root}, none, 0, 0, false, 10, true},
		"nested":                   {[]faked{self, {40, 10, "supervisord", []string{"supervisord"}, append(none, vars...), false}, super, root}, []string{"SUPERVISOR_PROCESS_NAME=inner"}, 10, 0, false, 40, true},
		"nested, renamed":          {[]faked{self, {40, 10, "services", []string{"services"}, vars, false}, super, root}, []string{"SUPERVISOR_PROCESS_NAME=inner"}, 10, 0, false, 40, true},
		"nested, behind env -i sh": {[]faked{{50, 45, "supernats-bridg", nil, none, false}, wrapper(45, 40, "sh", none), {40, 10, "supervisord", []string{"supervisord"}, vars, false}, super, root}, none, 10, 0, false, 40, true},
		"renamed, of another user": {[]faked{child(self, 10), {10, 1, "services", []string{"services"}, nil, false}, root}, nil, 0, 0, false, 10, false},
		"the same, and it answers": {[]faked{child(self, 10), {10, 1, "services", []string{"services"}, nil, false}, root}, nil, 10, 0, false, 10, true},
		"hidden":                   {[]faked{child(self, 10), hide(super)}, nil, 0, 0, false, 10, false},
		"hidden, it answers":       {[]faked{child(self, 10), hide(super)}, nil, 10, 0, false, 10, true},
		"hidden, behind bash":      {[]faked{self, wrapper(40, 10, "bash", vars), hide(super)}, nil, 0, 0, false, 10, false},
		"hidden, behind runuser":   {[]faked{self, hide(wrapper(40, 10, "runuser", vars)), hide(super)}, nil, 0, 0, false, 40, false},
		"hidden runuser, answers":  {[]faked{self, hide(wrapper(40, 10, "runuser", vars)), hide(super)}, nil, 10, 0, false, 10, true},
		"hidden runuser, pidfd":    {[]faked{self, hide(wrapper(40, 10, "runuser", vars)), hide(super)}, nil, 10, 0, true, 10, true},
		"another one answers":      {[]faked{child(self, 10), {10, 1, "services", []string{"services"}, nil, false}, root}, nil, 7, 0, false, 10, false},
		"nobody of that number":    {[]faked{child(self, 10), hide(super)}, nil, 4711, 0, false, 10, false},
		"procfs of the outside":    {[]faked{self, wrapper(40, 10, "unshare", vars), super, root}, nil, 1, 3, false, 10, true},
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

	empty := Gather(ctx, System{Proc: t.TempDir(), PID: 50, Parent: 10, Environ: vars, Pidfd: quiet, Alive: gone, BootTime: func() int64 { return 0 }, AskPID: silent})
	if _, derived := empty.ID(); derived || empty.PID != 10 || empty.Certain {
		t.Errorf("without procfs: %+v", empty)
	}
	outside := Gather(ctx, System{Proc: t.TempDir(), PID: 1, Parent: 0, Environ: vars, Pidfd: quiet, Alive: gone})
	if _, derived := outside.ID(); derived || outside.PID != 0 {
		t.Errorf("in a pid namespace of our own: %+v", outside)
	}

	self := faked{pid: 50, parent: 10, comm: "supernats-bridg", environ: vars}
	super := faked{pid: 10, parent: 1, comm: "supervisord", cmdline: []string{"supervisord"}}
	subset := Gather(ctx, System{Proc: procfs(t, "", 50, self, super), PID: 50, Parent: 10, Environ: vars, Pidfd: quiet, BootTime: func() int64 { return 7 }})
	if _, derived := subset.ID(); !derived || subset.Ticks != 1000 || subset.BootTime != 7 {
		t.Errorf("without a boot id: %+v", subset)
	}
	inode := func(int) Pidfd { return Pidfd{Inode: 77} }
	bare := Gather(ctx, System{Proc: t.TempDir(), PID: 50, Parent: 10, Environ: vars, Pidfd: inode, BootTime: func() int64 { return 7 }})
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
		"at once":       {Evidence{Ticks: 4990, Certain: true}, true},
		"later":         {Evidence{Ticks: 1000, Certain: true}, false},
		"before":        {Evidence{Ticks: 6000, Certain: true}, false},
		"not certain":   {Evidence{Ticks: 4990}, false},
		"start unknown": {Evidence{Inode: 3, Certain: true}, false},
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
