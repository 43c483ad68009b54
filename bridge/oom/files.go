package oom

import (
	"bytes"
	"errors"
	"os"
	"path"
	"strconv"
	"syscall"
)

// maxFile bounds how much of a file is read: vmstat is the longest, with 5 KB.
const maxFile = 64 << 10

// tree is where /proc and /sys are; "/" but in tests.
type tree string

// read reads a small file of the kernel. It leaves the runtime's poller alone, which
// would cost more than the file does.
func (t tree) read(name string, buf []byte) ([]byte, error) {
	fd, err := retried(func() (int, error) {
		return syscall.Open(path.Join(string(t), name), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)

	buf = buf[:0]
	for len(buf) < maxFile {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, 4<<10)...)[:len(buf)]
		}
		n, err := retried(func() (int, error) { return syscall.Read(fd, buf[len(buf):cap(buf)]) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return buf, nil
		}
		buf = buf[:len(buf)+n]
	}
	return buf[:maxFile], nil
}

// retried repeats a system call that a signal has interrupted.
func retried(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

func (t tree) exists(name string) bool {
	_, err := os.Stat(path.Join(string(t), name))
	return err == nil
}

// inside reports whether a namespace of this process is the machine's own: its number
// is fixed (PROC_PID_INIT_INO and PROC_CGROUP_INIT_INO of linux/proc_ns.h).
func (t tree) inside(namespace, number string) bool {
	to, err := os.Readlink(path.Join(string(t), "proc/self/ns", namespace))
	return err == nil && to == namespace+":["+number+"]"
}

const (
	initialPIDs    = "4026531836"
	initialCgroups = "4026531835"
)

// counter returns the number after a word, of a file with a word and a number a line.
func counter(text []byte, word string) (n uint64, ok bool) {
	for line := range bytes.Lines(text) {
		rest, found := bytes.CutPrefix(line, []byte(word+" "))
		if !found {
			continue
		}
		return number(rest)
	}
	return 0, false
}

// number reads a file or the rest of a line that is one number.
func number(text []byte) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	return n, err == nil
}

// kills is how many processes the machine has killed for want of memory, in cgroups
// and outside of them. It is there from Linux 4.13 on, as in the cgroups.
func (t tree) kills(buf []byte) (n uint64, ok bool) {
	text, err := t.read("proc/vmstat", buf)
	if err != nil {
		return 0, false
	}
	return counter(text, "oom_kill")
}

// total is the memory of the machine in bytes, 0 if it is not known.
func (t tree) total() uint64 {
	text, err := t.read("proc/meminfo", nil)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("MemTotal:")); ok {
			n, _ := number(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))
			return n << 10
		}
	}
	return 0
}

// pendingKill reports whether SIGKILL was sent to a process: it stays pending, in
// status, until the process has been reaped, and one that the kernel sends looks the same there.
// gone means that this cannot be read (any more).
func (t tree) pendingKill(pid int, buf []byte) (sent, gone bool) {
	text, err := t.read("proc/"+strconv.Itoa(pid)+"/status", buf)
	if err != nil {
		return false, true
	}
	const kill = 1 << (uint(syscall.SIGKILL) - 1)
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte("ShdPnd:"))
		if !ok {
			continue
		}
		set, err := strconv.ParseUint(string(bytes.TrimSpace(rest)), 16, 64)
		return set&kill != 0, err != nil
	}
	return false, true
}

// exiting reports whether a process is about to end or has ended.
func (t tree) exiting(pid int, buf []byte) bool {
	text, err := t.read("proc/"+strconv.Itoa(pid)+"/stat", buf)
	if err != nil {
		return true
	}
	// The name in brackets may hold anything (proc_pid_stat(5)).
	fields := bytes.Fields(text[max(0, bytes.LastIndexByte(text, ')')):])
	if len(fields) < 8 {
		return true
	}
	const pfExiting = 0x4 // of linux/sched.h
	flags, err := strconv.ParseUint(string(fields[7]), 10, 64)
	return err != nil || flags&pfExiting != 0
}
