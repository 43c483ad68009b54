package oom

import (
	"bytes"
	"errors"
	"path"
	"strconv"
	"syscall"
	"time"
)

const (
	// maxRecords bounds how many records of the kernel's log are read at a time; it holds
	// fewer of them.
	maxRecords = 16 << 10
	// maxNamed bounds how many victims are remembered, namedFor for how long.
	maxNamed = 4 << 10
	namedFor = 10 * time.Second
)

// kernelLog is /dev/kmsg, which names the processes that were killed. It counts processes
// as the machine does, hence it is of no use in another pid namespace.
//
// Nothing is read while the machine kills no process: two descriptors take turns in being
// moved to the end of the log. The one that was there before the counter was found
// unchanged has skipped no victim, since the counter rises before the line is written.
type kernelLog struct {
	read  func(fd int, p []byte) (int, error)
	seek  func(fd int) error
	shut  func(fd int) error
	fd    int // from here on the log is read
	spare int // the last end that was marked
	buf   []byte

	// named are victims that were read and not taken yet; found counts all that were
	// read since the counter stood at base.
	named map[int]victim
	found uint64
	base  uint64

	// cgroup is that of the last line that named where memory ran out, for the process
	// with the id pid.
	pid    int
	cgroup string
}

// victim is a process that the log names.
type victim struct {
	at time.Time
	// cgroup is where memory ran out, as the machine's root sees it; empty if that is not
	// known. machine is set if it was the whole machine.
	cgroup  string
	machine bool
}

// openLog returns nil if the log cannot be read.
func openLog(t tree) *kernelLog {
	if !t.inside("pid", initialPIDs) {
		return nil
	}
	open := func() (int, error) {
		const mode = syscall.O_RDONLY | syscall.O_NONBLOCK | syscall.O_CLOEXEC
		return syscall.Open(path.Join(string(t), "dev/kmsg"), mode, 0)
	}

	fd, err := open()
	if err != nil {
		return nil
	}
	spare, err := open()
	if err != nil {
		_ = syscall.Close(fd)
		return nil
	}

	l := &kernelLog{
		fd: fd, spare: spare, buf: make([]byte, 8<<10), named: map[int]victim{},
		read: syscall.Read, shut: syscall.Close,
		seek: func(fd int) error {
			const end = 2 // SEEK_END
			_, err := syscall.Seek(fd, 0, end)
			return err
		},
	}
	// A container may have /dev/null or a file there, which names no victim.
	if l.seek(fd) != nil || !l.isLog() {
		l.close()
		return nil
	}
	return l
}

// isLog reports whether the end is that of a log: it has no more, and no end of file.
func (l *kernelLog) isLog() bool {
	_, err := l.read(l.fd, l.buf)
	if err == nil {
		return bytes.IndexByte(l.buf, ';') > 0
	}
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EPIPE)
}

func (l *kernelLog) close() {
	_ = l.shut(l.fd)
	_ = l.shut(l.spare)
}

// mark remembers the end of the log. Call it before the counter is read.
func (l *kernelLog) mark() { _ = l.seek(l.spare) }

// settle continues from the mark: the counter was the same before and after it. All
// victims must have been read by then.
func (l *kernelLog) settle(kills uint64) {
	l.fd, l.spare = l.spare, l.fd
	l.found, l.base = 0, kills
}

// complete reports whether everyone that was killed by a reading of the counter has
// been named.
func (l *kernelLog) complete(kills uint64) bool { return kills-min(kills, l.base) <= l.found }

// drain reads what there is.
func (l *kernelLog) drain(now time.Time) {
	for range maxRecords {
		n, err := retried(func() (int, error) { return l.read(l.fd, l.buf) })
		if errors.Is(err, syscall.EPIPE) {
			continue // the oldest were overwritten
		}
		if err != nil || n <= 0 {
			break // EAGAIN: there is no more
		}
		l.record(l.buf[:n], now)
	}

	for pid, v := range l.named {
		if now.Sub(v.at) > namedFor {
			delete(l.named, pid)
		}
	}
}

// record takes one record: "priority,number,microseconds,flags;text".
func (l *kernelLog) record(rec []byte, now time.Time) {
	head, text, ok := bytes.Cut(rec, []byte(";"))
	priority, _, _ := bytes.Cut(head, []byte(","))
	// What a program writes into the log has another facility than the kernel's.
	if n, err := strconv.ParseUint(string(priority), 10, 32); !ok || err != nil || n > 7 {
		return
	}

	text, _, _ = bytes.Cut(text, []byte("\n"))
	if pid, cgroup, ok := ranOutIn(text); ok {
		l.pid, l.cgroup = pid, cgroup
		return
	}
	pid, machine, ok := killed(text)
	if !ok {
		return
	}

	l.found++
	v := victim{at: now, machine: machine}
	if l.pid == pid && !machine {
		v.cgroup = l.cgroup
	}
	if len(l.named) < maxNamed {
		l.named[pid] = v
	}
}

// ranOutIn parses dump_oom_summary of mm/oom_kill.c, from Linux 5.0 on. The kernel says
// it before it kills, and not more than ten times in five seconds.
func ranOutIn(text []byte) (pid int, cgroup string, ok bool) {
	rest, ok := bytes.CutPrefix(text, []byte("oom-kill:constraint="))
	if !ok {
		return 0, "", false
	}

	_, memcg, found := bytes.Cut(rest, []byte(",oom_memcg="))
	if found {
		// A name may hold anything, and ",task_memcg=" too; the end of the line is fixed.
		if i := bytes.Index(memcg, []byte(",task_memcg=")); i >= 0 {
			cgroup = string(memcg[:i])
		}
	}

	// ",task=<name>,pid=<pid>,uid=<uid>"
	i := bytes.LastIndex(rest, []byte(",pid="))
	if i < 0 {
		return 0, "", false
	}
	digits, _, _ := bytes.Cut(rest[i+len(",pid="):], []byte(","))
	pid, err := strconv.Atoi(string(digits))
	return pid, cgroup, err == nil && pid > 0
}

// killed parses what __oom_kill_process of mm/oom_kill.c says of each victim:
//
//	Memory cgroup out of memory: Killed process 7746 (python3) total-vm:36352kB, …
//	Out of memory: Killed process 7746 (python3) total-vm:36352kB, …
//	Killed process 7746 (python3) total-vm:36352kB, …
//
// The last one is from before Linux 5.0, and says nothing of where.
func killed(text []byte) (pid int, machine, ok bool) {
	const verb = "Killed process "
	where, rest, ok := bytes.Cut(text, []byte(verb))
	if !ok || !bytes.Contains(rest, []byte(") total-vm:")) {
		return 0, false, false
	}
	switch string(where) {
	case "", "Memory cgroup out of memory: ":
	case "Out of memory: ", "Out of memory (oom_kill_allocating_task): ":
		machine = true
	default:
		return 0, false, false
	}

	digits, _, found := bytes.Cut(rest, []byte(" ("))
	pid, err := strconv.Atoi(string(digits))
	return pid, machine, found && err == nil && pid > 0
}
