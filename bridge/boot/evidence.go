package boot

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// System is where evidence is looked for. Its zero fields are those of this
// process.
type System struct {
	// Proc is where procfs is mounted.
	Proc string
	// PID and Parent are our own process id and that of our parent, which is 0 if it
	// is in another pid namespace. Environ are our variables.
	PID, Parent int
	Environ     []string
	// Pidfd returns what the kernel says of a process without procfs.
	Pidfd func(pid int) Pidfd
	// Alive reports whether there is a process.
	Alive func(pid int) bool
	// BootTime is Evidence.BootTime.
	BootTime func() int64
	// AskPID asks supervisord for its process id; nil if it cannot be asked.
	AskPID func(context.Context) (int, error)
}

// Pidfd is what a descriptor of a process says; fields are 0 where the kernel is
// too old, or the process is gone.
type Pidfd struct {
	Inode  uint64
	Parent int
}

const (
	// maxAncestors bounds how far up supervisord is looked for.
	maxAncestors = 64
	// askTimeout bounds a call of supervisord: it is one thread, and may be starting
	// hundreds of programs.
	askTimeout = time.Second
)

func (s System) withDefaults() System {
	if s.Proc == "" {
		s.Proc = "/proc"
	}
	if s.PID == 0 {
		s.PID, s.Parent = os.Getpid(), os.Getppid()
	}
	if s.Environ == nil {
		s.Environ = os.Environ()
	}

	if s.Pidfd == nil {
		s.Pidfd = openPidfd
	}
	if s.Alive == nil {
		s.Alive = func(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
	}
	if s.BootTime == nil {
		s.BootTime = bootTime
	}
	return s
}

// process is an ancestor of ours, or we. What is hidden is empty.
type process struct {
	pid, parent int
	ticks       uint64
	comm        string
	cmdline     []string
	// child is which of supervisord's children has its variables; hasEnviron means that
	// they could be read.
	child      child
	hasEnviron bool
}

// child is what supervisord gives to one process alone (process.py
// _spawn_as_child).
type child struct{ group, process string }

// Gather looks for evidence. It takes a second at most.
func Gather(ctx context.Context, s System) Evidence {
	s = s.withDefaults()
	var e Evidence
	_, _ = rand.Read(e.random[:]) // never fails
	if id, err := os.ReadFile(filepath.Join(s.Proc, "sys/kernel/random/boot_id")); err == nil {
		e.BootID = string(bytes.TrimSpace(id))
	}
	if e.BootID == "" {
		e.BootTime = s.BootTime()
	}

	self, ancestors, ours := s.chain()
	found, by := recognise(self, ancestors)
	e.Certain = found != nil
	if found == nil {
		if pid := s.ask(ctx); pid != 0 {
			found, by = s.match(pid, ancestors), "by its XML-RPC"
			e.Certain = found != nil
		}
	}
	if found == nil {
		found, by = guess(self, ancestors), "as what started us"
	}
	if found == nil {
		e.By = "hidden: no process of supervisord can be seen"
		return e
	}

	e.PID, e.Ticks = found.pid, found.ticks
	if ours {
		e.Inode = s.Pidfd(found.pid).Inode
	}
	e.here, e.Lasting = ours, ours && s.initialNamespace()
	e.By = s.describe(&e, by)
	return e
}

// chain returns this process and its ancestors, the nearest first. ours means that the
// process ids are those of our own namespace.
func (s System) chain() (self process, ancestors []process, ours bool) {
	self, ours = process{pid: s.PID, parent: s.Parent}, true
	hidden := true
	if link, err := os.Readlink(filepath.Join(s.Proc, "self")); err == nil {
		// A procfs of another pid namespace has the ids of that one.
		self.pid, _ = strconv.Atoi(link)
		ours, hidden = self.pid == s.PID, false
		if !ours {
			stat, _ := s.stat(self.pid)
			self.parent = stat.parent
		}
	}
	self.child, self.hasEnviron = childOf(s.Environ), true

	for pid := self.parent; pid > 0 && len(ancestors) < maxAncestors; {
		p := process{pid: pid}
		if !hidden {
			p = s.read(pid)
		}
		if p.parent == 0 && ours {
			p.parent = s.Pidfd(pid).Parent
		}
		ancestors = append(ancestors, p)
		pid = p.parent
	}
	return self, ancestors, ours
}

// read reads what procfs shows of a process.
func (s System) read(pid int) process {
	p, _ := s.stat(pid)
	dir := filepath.Join(s.Proc, strconv.Itoa(pid))
	if line, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil {
		p.cmdline = fields(line)
	}
	if env, err := os.ReadFile(filepath.Join(dir, "environ")); err == nil {
		p.child, p.hasEnviron = childOf(fields(env)), true
	}
	return p
}

func fields(b []byte) []string { return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00") }

// stat reads /proc/PID/stat (proc_pid_stat(5)).
func (s System) stat(pid int) (p process, err error) {
	p.pid = pid
	b, err := os.ReadFile(filepath.Join(s.Proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return p, err
	}

	// The name may hold anything, parentheses too.
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return p, fmt.Errorf("read stat of process %d: no name", pid)
	}
	p.comm = string(b[open+1 : end])

	const ppid, starttime = 1, 19 // after the name
	rest := strings.Fields(string(b[end+1:]))
	if len(rest) <= starttime {
		return p, fmt.Errorf("read stat of process %d: %d fields", pid, len(rest))
	}
	p.parent, _ = strconv.Atoi(rest[ppid])
	p.ticks, _ = strconv.ParseUint(rest[starttime], 10, 64)
	return p, nil
}

// childOf returns which of supervisord's children has these variables.
func childOf(env []string) (c child) {
	for _, v := range env {
		if name, ok := strings.CutPrefix(v, "SUPERVISOR_PROCESS_NAME="); ok {
			c.process = name
		}
		if group, ok := strings.CutPrefix(v, "SUPERVISOR_GROUP_NAME="); ok {
			c.group = group
		}
	}
	return c
}

// recognise returns the nearest ancestor that certainly is a supervisord, or nil.
func recognise(self process, ancestors []process) (found *process, by string) {
	below := self
	for i := range ancestors {
		p := &ancestors[i]
		// Nobody else invents these variables: the first process that does not have
		// those of the one below it has given them.
		if below.hasEnviron && below.child != (child{}) && p.hasEnviron && p.child != below.child {
			return p, "by its variables"
		}
		if p.isSupervisord() {
			return p, "by its name"
		}
		below = *p
	}
	return nil, ""
}

// isSupervisord decides by the command: supervisord, python /usr/bin/supervisord,
// python -m supervisor.supervisord. Anybody's options may hold the word.
func (p *process) isSupervisord() bool {
	if p.comm == "supervisord" || len(p.cmdline) > 0 && path.Base(p.cmdline[0]) == "supervisord" {
		return true
	}
	if len(p.cmdline) == 0 || !strings.HasPrefix(path.Base(p.cmdline[0]), "py") {
		return false
	}
	for _, word := range p.cmdline[1:] {
		if strings.HasPrefix(word, "-") {
			continue // -m too: what follows it is the module
		}
		switch path.Base(word) {
		case "supervisord", "supervisord.py", "supervisor.supervisord":
			return true
		}
		return false
	}
	return false
}

// ask returns supervisord's process id, as supervisord sees it, or 0.
func (s System) ask(ctx context.Context) int {
	if s.AskPID == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	pid, err := s.AskPID(ctx)
	if err != nil {
		return 0
	}
	return pid
}

// match returns the process that calls itself pid over XML-RPC, or nil: what answers
// may be the supervisord of another pid namespace. It is an ancestor, or further up
// than we can see.
func (s System) match(pid int, ancestors []process) *process {
	for i := range ancestors {
		if ancestors[i].pid == pid {
			return &ancestors[i]
		}
	}
	if len(ancestors) == 0 || ancestors[len(ancestors)-1].pid == 1 || !s.Alive(pid) {
		return nil
	}
	return &process{pid: pid}
}

// guess returns the first ancestor that is not known to be a wrapper, or nil.
func guess(self process, ancestors []process) *process {
	for i := range ancestors {
		p := &ancestors[i]
		if !p.hasEnviron || self.child == (child{}) || p.child != self.child || i == len(ancestors)-1 {
			return p
		}
	}
	return nil
}

// initialNamespace reports whether our process ids are those of the machine
// (PROC_PID_INIT_INO of the kernel).
func (s System) initialNamespace() bool {
	link, err := os.Readlink(filepath.Join(s.Proc, "self/ns/pid"))
	return err == nil && link == "pid:[4026531836]"
}

func (s System) describe(e *Evidence, by string) string {
	what := []string{fmt.Sprintf("process %d, found %s", e.PID, by)}
	switch {
	case e.Inode != 0:
		what = append(what, "its inode in pidfs")
	case e.Ticks != 0:
		what = append(what, "its start")
	default:
		what = append(what, "its start is hidden")
	}
	if e.BootID == "" {
		what = append(what, "the kernel's boot id is hidden")
	}
	return strings.Join(what, "; ")
}

// LocalPID is PID if that is one of our pid namespace, else 0.
func (e *Evidence) LocalPID() int {
	if !e.here {
		return 0
	}
	return e.PID
}

// together is how much later than supervisord a listener starts that is started
// with it.
const together = 30 * time.Second

// StartedTogether reports whether we were started when supervisord was, and not
// after some other life of ours whose spool is gone. It says so only where that is
// certain.
func StartedTogether(s System, e Evidence) bool {
	s = s.withDefaults()
	link, err := os.Readlink(filepath.Join(s.Proc, "self"))
	if err != nil || !e.Certain || e.Ticks == 0 {
		return false
	}
	pid, err := strconv.Atoi(link)
	if err != nil {
		return false
	}
	self, err := s.stat(pid)
	const ticks = 100 // of the kernel's clock, a second: USER_HZ
	return err == nil && self.ticks >= e.Ticks && self.ticks-e.Ticks < uint64(together/time.Second*ticks)
}
