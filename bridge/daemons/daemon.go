// Package daemons finds the supervisords that run on this machine, and the bridges that run
// under each, in /proc. It reads each process once per call, and waits for nothing but the
// kernel. Where /proc hides the processes of others, only ours are found, and the caller
// learns that there may be more.
package daemons

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"supernats/bridge/supervisordconf"
)

// Daemon is a supervisord.
type Daemon struct {
	PID int // 0 if none runs
	UID int // that of the process, ours if none runs
	// Environ is its environment, ours where it may not be read.
	Environ map[string]string
}

// OfConf finds the supervisord of a configuration by its pid file.
func OfConf(conf *supervisordconf.Configuration) Daemon {
	d := Daemon{UID: os.Geteuid(), Environ: environOf(os.Getpid())}
	text, err := os.ReadFile(PIDFile(conf))
	if err != nil {
		return d
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return d
	}

	proc := fmt.Sprintf("/proc/%d", pid)
	line, err := os.ReadFile(proc + "/cmdline")
	isOther := err == nil && !strings.Contains(string(line), "supervisord")
	if isOther || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return d // the file is left from another run
	}
	d.PID = pid
	if info, err := os.Stat(proc); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			d.UID = int(st.Uid)
		}
	}
	d.Environ = environOf(pid)
	return d
}

// PIDFile is where the supervisord of a configuration writes its process id, "" if that
// cannot be expanded.
func PIDFile(conf *supervisordconf.Configuration) string {
	path, err := conf.Section("supervisord").Value("pidfile", "supervisord.pid")
	if err != nil {
		return ""
	}
	if filepath.IsAbs(path) {
		return path
	}
	directory, err := conf.Section("supervisord").Value("directory", "")
	if err != nil || directory == "" {
		directory = filepath.Dir(conf.File)
	}
	return filepath.Join(directory, path)
}

// environOf are the variables of a process, ours where they may not be read.
func environOf(pid int) map[string]string {
	environ := os.Environ()
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil && len(b) > 0 && pid != os.Getpid() {
		environ = strings.Split(string(b), "\x00")
	}

	variables := map[string]string{}
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok {
			variables[name] = value
		}
	}
	return variables
}
