package doctor

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"supernats/bridge/listeners"
	"supernats/bridge/spool/files"
	"supernats/bridge/spool/queue"
	"supernats/bridge/spooldir"
	"supernats/schema"
	"supernats/schema/checkup"
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
		if b.FlagsErr != nil || b.AccountErr != nil {
			continue
		}
		dir := h.spoolDir(b)
		isUsed := false
		if b.Flags.SpoolDir != "" {
			isUsed = checkNamedSpool(h, b, dir)
		} else {
			isUsed = checkDefaultSpool(h, b, dir)
		}
		if isUsed {
			checkDisk(h, b, dir)
			checkOrphans(h, b, holdersOf(dir))
		}
	}
}

// spoolDir is where a bridge keeps its events, "" if that is nowhere.
func (h *host) spoolDir(b *listeners.Bridge) string {
	if b.Flags.SpoolDir != "" {
		return b.Flags.SpoolDir
	}
	getenv := func(name string) string { return b.Environ[name] }
	for _, dir := range spooldir.DefaultsOf(b.Flags.Host, getenv, b.Account.UID) {
		if b.Account.DeniedKeep(h.looksAt(dir)) == nil {
			return dir
		}
	}
	return ""
}

// checkNamedSpool checks the directory of --spool-dir, and reports whether it can be used.
// A relative one depends on the directory that supervisord is in.
func checkNamedSpool(h *host, b *listeners.Bridge, dir string) bool {
	if !filepath.IsAbs(dir) {
		return false
	}
	d := b.Account.DeniedKeep(h.looksAt(dir))
	if d != nil {
		h.report.fail(b.Section, "command", h.fix.open(d, installDir(b, dir), b.Pool),
			"%s may not write to --spool-dir %s: %s: %s: events go through memory, and what NATS does not have is "+
				"lost when the bridge ends", b.Account.Name, dir, d.Path, d.Why)
	}
	return d == nil
}

// checkDefaultSpool checks the directory that a bridge chooses, and reports whether it lasts.
func checkDefaultSpool(h *host, b *listeners.Bridge, dir string) bool {
	again := " && " + h.fix.startBridge(b.Pool)
	switch {
	case dir == "":
		h.report.fail(b.Section, "user", installDir(b, "/var/lib/supernats/"+b.Flags.Host)+again,
			"%s may not write to any directory for the spool: events go through memory", b.Account.Name)
		return false
	case isPassing(dir):
		best := filepath.Join("/var/lib/supernats", filepath.Base(dir))
		h.report.warn(b.Section, "user", installDir(b, best)+again,
			"the spool of %s is in %s: what NATS does not have is lost when the machine starts again",
			b.Account.Name, filepath.Dir(dir))
		return false
	}
	return true
}

// installDir is the command that makes a directory for the user of a section.
func installDir(b *listeners.Bridge, dir string) string {
	return "install -d -o " + checkup.Quote(b.Account.Name) + " " + checkup.Quote(dir)
}

// isPassing reports whether a default directory is emptied when the machine starts.
func isPassing(dir string) bool {
	return strings.HasPrefix(dir, "/run/") || strings.HasPrefix(dir, "/tmp/") ||
		strings.HasPrefix(filepath.Base(filepath.Dir(dir)), "supernats-")
}

// holdersOf are the processes that hold a spool of a directory, or have held it last.
func holdersOf(dir string) (pids []int) {
	slots, _ := queue.Slots(dir)
	for _, slot := range slots {
		if pid, err := strconv.Atoi(files.Holder(slot)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// checkDisk checks the file system of a spool.
func checkDisk(h *host, b *listeners.Bridge, dir string) {
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
		h.report.warn(b.Section, "command", h.fixOfMemory(b),
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

// fixOfMemory says how to put a spool on a disk.
func (h *host) fixOfMemory(b *listeners.Bridge) string {
	better := "/var/lib/supernats/" + b.Flags.Host
	if command := b.Options["command"]; b.Flags.SpoolDir != "" && strings.Contains(command, b.Flags.SpoolDir) {
		command = strings.ReplaceAll(strings.Replace(command, b.Flags.SpoolDir, better, 1), "\n", " ")
		return h.fix.set(b.Section, "command", command)
	}
	return "give it a directory on a disk: --spool-dir " + checkup.Quote(better) + " in command=, then run: " +
		h.fix.apply(b.Section)
}
