package deathwatch

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// stat is what procfs shows of a process.
type stat struct {
	parent, session int
	started         time.Time // by our clock, to a hundredth of a second
}

// ticksPerSecond is USER_HZ, 100 on all of Go's Linux architectures.
const ticksPerSecond = 100

// readStat reads /proc/PID/stat (proc_pid_stat(5)); ok is false where that is hidden.
func readStat(proc string, pid int) (s stat, ok bool) {
	b, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return s, false
	}
	const parent, session, starttime = 1, 3, 19 // after the name, which may hold anything
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) <= starttime {
		return s, false
	}

	s.parent, _ = strconv.Atoi(string(fields[parent]))
	s.session, _ = strconv.Atoi(string(fields[session]))
	ticks, err := strconv.ParseInt(string(fields[starttime]), 10, 64)
	var now unix.Timespec
	if err == nil && unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) == nil {
		ago := now.Nano() - ticks*int64(time.Second/ticksPerSecond)
		s.started = time.Now().Add(-time.Duration(max(0, ago)))
	}
	return s, s.parent > 0
}

// lastPID returns the process id that was given last, to a process or a thread
// (proc_loadavg(5)); 0 where that is hidden.
func lastPID(proc string) int {
	b, err := os.ReadFile(filepath.Join(proc, "loadavg"))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 5 {
		return 0
	}
	pid, _ := strconv.Atoi(string(fields[4]))
	return pid
}

// pids returns the processes that procfs shows.
func pids(proc string) (list []int) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// environ returns the variables that a process was executed with; none of a dead one.
func environ(proc string, pid int) ([]byte, error) {
	return os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "environ"))
}

// nameIn returns how supervisord calls a process (process.py _spawn_as_child).
func nameIn(environ []byte) (n Name) {
	for line := range bytes.SplitSeq(environ, []byte{0}) {
		if v, ok := bytes.CutPrefix(line, []byte("SUPERVISOR_GROUP_NAME=")); ok {
			n.Group = string(v)
		}
		if v, ok := bytes.CutPrefix(line, []byte("SUPERVISOR_PROCESS_NAME=")); ok {
			n.Process = string(v)
		}
	}
	if n.Group == "" {
		n.Group = n.Process // the Go port leaves it out
	}
	return n
}
