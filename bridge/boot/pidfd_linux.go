package boot

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pidfsMagic is what statfs says of pidfs, which gives each process an inode of its
// own from Linux 6.9 on. Before, all of them were one anonymous inode.
const pidfsMagic = 0x50494446

// pidfdInfo is struct pidfd_info of linux/pidfd.h, as of its first version.
type pidfdInfo struct {
	mask, cgroupID                                         uint64
	pid, tgid, ppid                                        uint32
	ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid, exit uint32
}

// getInfo is PIDFD_GET_INFO, _IOWR(0xFF, 11, struct pidfd_info), from Linux 6.13 on.
const getInfo = 3<<30 | unsafe.Sizeof(pidfdInfo{})<<16 | 0xFF<<8 | 11

// openPidfd asks the kernel about a process. It needs no right to do so.
func openPidfd(pid int) (p Pidfd) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return p
	}
	defer unix.Close(fd)

	var fs unix.Statfs_t
	var stat unix.Stat_t
	if unix.Fstatfs(fd, &fs) == nil && uint32(fs.Type) == pidfsMagic && unix.Fstat(fd, &stat) == nil {
		p.Inode = stat.Ino
	}

	info := pidfdInfo{mask: 1}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), getInfo, uintptr(unsafe.Pointer(&info))); errno == 0 {
		p.Parent = int(info.ppid)
	}
	return p
}

// Gone reports whether the process has ended, or does so within a time: also one that
// its parent has not waited for. It is false where that cannot be known.
func (e *Evidence) Gone(within time.Duration) bool {
	if !e.here || e.PID == 0 {
		return false
	}
	fd, err := unix.PidfdOpen(e.PID, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	if inode := openPidfd(e.PID).Inode; inode != e.Inode {
		return true // another process has its number by now
	}

	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for end := time.Now().Add(within); ; {
		n, err := unix.Poll(poll, int(max(0, time.Until(end)).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

// bootTime is when the machine was started by its clock as it is now, in tenths of
// a second.
func bootTime() int64 {
	best, bestSpread := int64(0), int64(-1)
	for range 10 {
		var before, now, after unix.Timespec
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &before) != nil ||
			unix.ClockGettime(unix.CLOCK_REALTIME, &now) != nil ||
			unix.ClockGettime(unix.CLOCK_BOOTTIME, &after) != nil {
			return 0
		}

		// The two were read at the same time if nothing came between them.
		if spread := after.Nano() - before.Nano(); bestSpread < 0 || spread < bestSpread {
			best, bestSpread = now.Nano()-before.Nano()-spread/2, spread
		}
	}
	return best / int64(100*time.Millisecond)
}
