package doctor

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

// daemon is the supervisord that runs with the configuration.
type daemon struct {
	pid int // 0 if none runs
	uid int // that of the process, ours if none runs
	// environ is its environment, ours where it may not be read.
	environ map[string]string
}

// findDaemon finds the supervisord by its pid file.
func findDaemon(conf *supervisordconf.Configuration) daemon {
	d := daemon{uid: os.Geteuid(), environ: variables(os.Environ())}
	text, err := os.ReadFile(pidFile(conf))
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
	d.pid = pid
	if info, err := os.Stat(proc); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			d.uid = int(st.Uid)
		}
	}
	if b, err := os.ReadFile(proc + "/environ"); err == nil && len(b) > 0 {
		d.environ = variables(strings.Split(string(b), "\x00"))
	}
	return d
}

func pidFile(conf *supervisordconf.Configuration) string {
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

func variables(environ []string) map[string]string {
	m := map[string]string{}
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok {
			m[name] = value
		}
	}
	return m
}
