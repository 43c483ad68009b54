package doctor

import (
	"context"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"supernats/bridge/spooldir"
	"supernats/schema"
)

const (
	// leftFree is what a spool leaves of its file system, on a small one its size divided by
	// leftPart (spool/space.go). Below a few times of it the disk is nearly full.
	leftFree    = 64 << 20
	leftPart    = 50
	nearlyTimes = 4
)

// checkSpools checks where each bridge keeps its events.
func checkSpools(_ context.Context, h *host) {
	for _, b := range h.bridges {
		if b.flagsErr != nil || b.accountErr != nil {
			continue
		}
		dir := b.spoolDir()
		best := filepath.Join("/var/lib/supernats", filepath.Base(dir))
		again := " && " + h.fix.startBridge(b.pool)
		install := "install -d -o " + quote(b.account.name) + " "
		switch {
		case b.flags.SpoolDir != "" && !filepath.IsAbs(dir):
			continue // it depends on the directory that supervisord is in
		case b.flags.SpoolDir != "" && !b.account.mayKeep(dir):
			h.report.fail(b.Section, "command", install+quote(dir)+again,
				"%s may not write to --spool-dir %s: events go through memory, and what NATS does not have is lost "+
					"when the bridge ends", b.account.name, dir)
			continue
		case dir == "":
			h.report.fail(b.Section, "user", install+"/var/lib/supernats/"+quote(b.flags.Host)+again,
				"%s may not write to any directory for the spool: events go through memory", b.account.name)
			continue
		case b.flags.SpoolDir == "" && isPassing(dir):
			h.report.warn(b.Section, "user", install+quote(best)+again,
				"the spool of %s is in %s: what NATS does not have is lost when the machine starts again",
				b.account.name, filepath.Dir(dir))
			continue
		}
		h.checkDisk(b, dir)
	}
}

// spoolDir is where a bridge keeps its events, "" if that is nowhere.
func (b *bridgeSection) spoolDir() string {
	if b.flags.SpoolDir != "" {
		return b.flags.SpoolDir
	}
	getenv := func(name string) string { return b.environ[name] }
	for _, dir := range spooldir.DefaultsOf(b.flags.Host, getenv, b.account.uid) {
		if b.account.mayKeep(dir) {
			return dir
		}
	}
	return ""
}

// isPassing reports whether a default directory is emptied when the machine starts.
func isPassing(dir string) bool {
	return strings.HasPrefix(dir, "/run/") || strings.HasPrefix(dir, "/tmp/") ||
		strings.HasPrefix(filepath.Base(filepath.Dir(dir)), "supernats-")
}

// checkDisk checks the file system of a spool.
func (h *host) checkDisk(b *bridgeSection, dir string) {
	var fs unix.Statfs_t
	for at := dir; ; at = filepath.Dir(at) {
		if unix.Statfs(at, &fs) == nil {
			break
		}
		if at == "/" {
			return
		}
	}

	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		better := "/var/lib/supernats/" + b.flags.Host
		fix := "give it a directory on a disk: --spool-dir " + quote(better) + " in command=, then run: " +
			h.fix.apply(b.Section)
		if command := b.Options["command"]; b.flags.SpoolDir != "" && strings.Contains(command, b.flags.SpoolDir) {
			command = strings.ReplaceAll(strings.Replace(command, b.flags.SpoolDir, better, 1), "\n", " ")
			fix = h.fix.set(b.Section, "command", command)
		}
		h.report.warn(b.Section, "command", fix,
			"the spool %s is in memory (tmpfs): what NATS does not have is lost when the machine starts again", dir)
	}
	size := uint64(max(fs.Bsize, 0))
	free, total := fs.Bavail*size, fs.Blocks*size
	reserve := min(leftFree, total/leftPart)
	const fix = "free some space there, or put the spool elsewhere with --spool-dir"
	switch left := schema.Size(free); {
	case free <= reserve:
		h.report.fail(b.Section, "command", fix,
			"the file system of the spool %s has %v left: events go through memory", dir, left)
	case free <= nearlyTimes*reserve:
		h.report.warn(b.Section, "command", fix,
			"the file system of the spool %s has %v left: an outage of NATS may fill it", dir, left)
	}
}
