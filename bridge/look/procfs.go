package look

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tick is what procfs counts time in: USER_HZ, 100 a second.
const tick = 10 * time.Millisecond

func ticks(n uint64) time.Duration { return time.Duration(n) * tick }

// maxCounted bounds the descriptors that are counted one by one, before Linux 6.2: of
// a process with more nothing is said, and no look takes more than some milliseconds.
const maxCounted = 10_000

// procfs reads what /proc shows of processes. It belongs to one goroutine: all calls
// use the same memory, and the system calls are made by hand since those of Go's
// libraries allocate each path.
type procfs struct {
	root int // /proc
	// sized means that the size of a directory fd is how many descriptors are open
	// (from Linux 6.2 on). It needs no right, whoever's the process is.
	sized bool
	page  uint64

	path [64]byte
	buf  [8 << 10]byte // status has 1.5 KB, more on machines with very many processors
	// threads is for children.
	threads []int
}

func openProcfs(path string) (*procfs, error) {
	link, err := os.Readlink(filepath.Join(path, "self"))
	if err != nil {
		return nil, fmt.Errorf("look at processes: %w", err)
	}
	if link != strconv.Itoa(os.Getpid()) {
		return nil, fmt.Errorf("look at processes: %s is that of another pid namespace", path)
	}
	root, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("look at processes: open %s: %w", path, err)
	}
	p := &procfs{root: root, page: uint64(os.Getpagesize())}
	p.sized = p.size(os.Getpid()) > 0
	return p, nil
}

func (p *procfs) close() { _ = unix.Close(p.root) }

// name makes the path of a file of a process, for a system call.
func (p *procfs) name(pid int, file string) unsafe.Pointer {
	b := strconv.AppendInt(p.path[:0], int64(pid), 10)
	b = append(append(b, '/'), file...)
	b = append(b, 0)
	return unsafe.Pointer(&b[0])
}

func (p *procfs) open(pid int, file string, flags int) (fd int, err error) {
	r, _, errno := unix.Syscall6(unix.SYS_OPENAT,
		uintptr(p.root), uintptr(p.name(pid, file)), uintptr(flags|unix.O_CLOEXEC), 0, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// read reads a file of a process, as far as buf holds it. What it returns is right
// until the next call.
func (p *procfs) read(pid int, file string) ([]byte, error) {
	fd, err := p.open(pid, file, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	n, err := unix.Read(fd, p.buf[:])
	_ = unix.Close(fd)
	return p.buf[:max(0, n)], err
}

// stat is what is taken of /proc/PID/stat.
type stat struct {
	state   byte
	parent  int
	group   int    // of processes
	forked  bool   // it runs what supervisord runs: it was forked, and has executed nothing yet
	cpu     uint64 // ticks, of all of its threads
	threads int
	start   uint64 // ticks since the start of the machine
	rss     uint64 // bytes
}

// forkedNoExec is PF_FORKNOEXEC of linux/sched.h.
const forkedNoExec = 0x40

// isDead reports whether the process has died and was not reaped.
func (s *stat) isDead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

var errStat = errors.New("/proc/PID/stat is malformed")

// stat reads /proc/PID/stat (proc_pid_stat(5)).
func (p *procfs) stat(pid int) (s stat, err error) {
	b, err := p.read(pid, "stat")
	if err != nil {
		return s, err
	}

	// The name may hold anything, brackets and line breaks too.
	end := bytes.LastIndexByte(b, ')')
	if end < 0 || end+2 >= len(b) {
		return s, errStat
	}
	b = b[end+2:]

	const state, ppid, pgrp, flags, utime, stime, numThreads, starttime, rss = 0, 1, 2, 6, 11, 12, 17, 19, 21
	field := 0
	for ; field <= rss && len(b) > 0; field++ {
		end := bytes.IndexByte(b, ' ')
		if end < 0 {
			end = len(b)
		}
		switch word := b[:end]; field {
		case state:
			s.state = word[0]
		case ppid:
			s.parent = int(number(word))
		case pgrp:
			s.group = int(number(word))
		case flags:
			s.forked = number(word)&forkedNoExec != 0
		case utime, stime:
			s.cpu += number(word)
		case numThreads:
			s.threads = int(number(word))
		case starttime:
			s.start = number(word)
		case rss:
			s.rss = number(word) * p.page
		}
		b = b[min(end+1, len(b)):]
	}

	if field <= rss {
		return s, errStat
	}
	return s, nil
}

// number reads decimal digits up to the first other byte.
func number(b []byte) (n uint64) {
	for _, c := range b {
		if c < '0' || c > '9' || n > math.MaxUint64/10-1 {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

var highWater = []byte("\nVmHWM:") // a line break in a name is written \n there

// peak returns the most memory that a process has ever had, in bytes, or 0.
func (p *procfs) peak(pid int) uint64 {
	b, err := p.read(pid, "status")
	if err != nil {
		return 0
	}
	i := bytes.Index(b, highWater)
	if i < 0 {
		return 0
	}
	return number(bytes.TrimLeft(b[i+len(highWater):], " \t")) << 10
}

// descriptors returns how many descriptors a process has open; 0 where that is hidden.
func (p *procfs) descriptors(pid int) int {
	if p.sized {
		return p.size(pid)
	}
	fd, err := p.open(pid, "fd", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)

	n := -2 // . and ..
	for {
		b, err := p.entries(fd)
		if err != nil || n > maxCounted {
			return 0
		}
		if len(b) == 0 {
			return max(0, n)
		}
		for len(b) > 0 {
			_, b = entry(b)
			n++
		}
	}
}

// size returns the size of the directory fd, 0 where that is not known.
func (p *procfs) size(pid int) int {
	var st unix.Statx_t
	_, _, errno := unix.Syscall6(unix.SYS_STATX,
		uintptr(p.root), uintptr(p.name(pid, "fd")), 0, unix.STATX_SIZE, uintptr(unsafe.Pointer(&st)), 0)
	if errno != 0 {
		return 0
	}
	return int(st.Size)
}

// children appends the children of a process, of all of its threads, as far as buf
// holds them; ok is false where the kernel does not list them, or hides them.
func (p *procfs) children(list []int, pid int) (all []int, ok bool) {
	fd, err := p.open(pid, "task", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return list, false
	}
	defer unix.Close(fd)

	p.threads = p.threads[:0]
	for {
		b, err := p.entries(fd)
		if err != nil || len(b) == 0 {
			break
		}
		for len(b) > 0 {
			var name []byte
			name, b = entry(b)
			if id := number(name); id > 0 {
				p.threads = append(p.threads, int(id))
			}
		}
	}

	for _, thread := range p.threads {
		var err error
		if list, err = p.childrenOf(list, pid, thread); err == nil {
			ok = true
		}
	}
	return list, ok
}

// childrenOf appends the children of one thread (proc_tid_children(5)).
func (p *procfs) childrenOf(list []int, pid, thread int) ([]int, error) {
	file := strconv.AppendInt(append(p.buf[:0], "task/"...), int64(thread), 10)
	file = append(file, "/children"...)
	fd, err := p.open(pid, string(file), unix.O_RDONLY)
	if err != nil {
		return list, err
	}
	defer unix.Close(fd)

	id := uint64(0) // it may be cut in two between reads
	for {
		n, err := unix.Read(fd, p.buf[:])
		if err != nil || n <= 0 {
			return list, err
		}
		for _, c := range p.buf[:n] {
			if c >= '0' && c <= '9' {
				id = id*10 + uint64(c-'0')
				continue
			}
			if id > 0 {
				list = append(list, int(id))
			}
			id = 0
		}
	}
}

// entries reads some of a directory: the next ones, none at its end.
func (p *procfs) entries(fd int) ([]byte, error) {
	n, err := unix.Getdents(fd, p.buf[:])
	return p.buf[:max(0, n)], err
}

// entry takes the first one of a directory's entries, each of which is a
// linux_dirent64 (getdents64(2)): its length is at 16, its name at 19.
func entry(b []byte) (name, rest []byte) {
	const lengthAt, nameAt = 16, 19
	length := int(*(*uint16)(unsafe.Pointer(&b[lengthAt])))
	name, _, _ = bytes.Cut(b[nameAt:length], []byte{0})
	return name, b[length:]
}
