package bridge

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// Boot finds out which life of which supervisord we run under: a hash of the
// kernel's boot id, supervisord's pid and its start in clock ticks. It is the
// same for every listener of that process and after a restart of the bridge. A
// start time in seconds would move with the clock.
func Boot() ([8]byte, error) {
	var boot [8]byte
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return boot, fmt.Errorf("open /proc: %w", err)
	}
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return boot, fmt.Errorf("read the kernel's boot id: %w", err)
	}
	stat, err := starter(fs, os.Getppid(), environment(os.Environ()))
	if err != nil {
		return boot, fmt.Errorf("look up supervisord's process: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", strings.TrimSpace(string(id)), stat.PID, stat.Starttime))
	return [8]byte(sum[:8]), nil
}

// supervisorPID is that of the process that started us, as far as it can be known.
func supervisorPID() int {
	if fs, err := procfs.NewDefaultFS(); err == nil {
		if stat, err := starter(fs, os.Getppid(), environment(os.Environ())); err == nil {
			return stat.PID
		}
	}
	return os.Getppid()
}

// together is how much later than supervisord a listener starts that is started
// with it.
const together = 30 * time.Second

// StartedTogether reports whether we were started when supervisord was, and not
// after some other life of ours whose spool is gone.
func StartedTogether() bool {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return false
	}
	self, err := fs.Self()
	if err != nil {
		return false
	}
	ours, err := self.Stat()
	if err != nil {
		return false
	}
	theirs, err := starter(fs, os.Getppid(), environment(os.Environ()))
	const ticks = 100 // of the kernel's clock, a second: USER_HZ
	return err == nil && ours.Starttime-theirs.Starttime < uint64(together/time.Second*ticks)
}

// starter returns the process that started us. Between it and us may be a
// shell or a wrapper (command=sh -c …): those have the variables that
// supervisord gives to one child (process.py, _spawn_as_child).
func starter(fs procfs.FS, parent int, ours [2]string) (procfs.ProcStat, error) {
	for {
		p, err := fs.Proc(parent)
		if err != nil {
			return procfs.ProcStat{}, err
		}
		stat, err := p.Stat()
		if err != nil {
			return procfs.ProcStat{}, err
		}
		// Not readable means of another user: no wrapper of ours.
		env, err := p.Environ()
		if ours == [2]string{} || err != nil || environment(env) != ours || stat.PPID == 0 {
			return stat, nil
		}
		parent = stat.PPID
	}
}

// environment returns which of supervisord's children has these variables.
func environment(env []string) (id [2]string) {
	for _, v := range env {
		if name, ok := strings.CutPrefix(v, "SUPERVISOR_PROCESS_NAME="); ok {
			id[0] = name
		}
		if group, ok := strings.CutPrefix(v, "SUPERVISOR_GROUP_NAME="); ok {
			id[1] = group
		}
	}
	return id
}
