package ownlog

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Inode names a file while it exists.
type Inode struct{ dev, ino uint64 }

// InodeOf returns the inode of a file, the zero Inode if the system has none.
func InodeOf(st fs.FileInfo) Inode {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return Inode{sys.Dev, sys.Ino}
	}
	return Inode{}
}

// linked reports whether a file still has a name.
func linked(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return !ok || sys.Nlink > 0
}

// openFiles are the descriptors of a process by the file that they lead to.
type openFiles map[Inode]string

func (o openFiles) has(st fs.FileInfo) bool { return o[InodeOf(st)] != "" }

// maxDescriptors limits how many descriptors are looked at.
const maxDescriptors = 1 << 16

// descriptors returns the regular files that a process has open; known is false
// where that may not be looked at.
func descriptors(pid int) (open openFiles, known bool) {
	if pid <= 0 {
		return nil, false
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	f, err := os.Open(dir)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	names, err := f.Readdirnames(maxDescriptors)
	if err != nil {
		return nil, false
	}

	open = openFiles{}
	seen := false
	for _, name := range names {
		path := filepath.Join(dir, name)
		st, err := os.Stat(path)
		if err != nil {
			continue
		}
		seen = true
		if st.Mode().IsRegular() {
			open[InodeOf(st)] = path
		}
	}
	return open, seen
}

// fdInfo is what /proc says of a descriptor.
type fdInfo struct {
	pos     int64
	appends bool
}

func readFDInfo(pid, fd int) (fdInfo, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", pid, fd))
	if err != nil {
		return fdInfo{}, err
	}
	var info fdInfo
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "pos":
			info.pos, _ = strconv.ParseInt(value, 10, 64)
		case "flags":
			flags, _ := strconv.ParseInt(value, 8, 64)
			info.appends = flags&syscall.O_APPEND != 0
		}
	}
	return info, nil
}

// renamed returns the descriptor of the file that was at a path, "" if none was.
func (o openFiles) renamed(path string) string {
	for _, link := range o {
		target, err := os.Readlink(link)
		if err == nil && (strings.TrimSuffix(target, " (deleted)") == path || isRotated(target, path)) {
			return link
		}
	}
	return ""
}

// isRotated reports whether a path is what programs make of another one to rotate it.
func isRotated(target, path string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(target, " (deleted)"), path)
	return ok && rest != "" && strings.ContainsAny(rest[:1], ".-_~") ||
		filepath.Base(target) == filepath.Base(path) && target != path
}
