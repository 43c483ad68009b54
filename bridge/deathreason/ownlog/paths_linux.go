package ownlog

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// OpenRegular opens a regular file for reading, and nothing else: a pipe would have to be
// waited for. The caller closes it.
func OpenRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}

	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("open %s: not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Resolve follows symbolic links as supervisord does: where they lead to a standard
// descriptor it is supervisord's, not ours. fd is -1 if they lead to another file.
func Resolve(path string) (_ string, fd int) {
	const most = 40
	for range most {
		if fd := standardDescriptor(path); fd >= 0 {
			return path, fd
		}
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path, -1
}

// standardDescriptor returns which of supervisord's standard descriptors a path means,
// -1 for none.
func standardDescriptor(path string) int {
	switch path {
	case "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
		return 1
	case "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2":
		return 2
	}
	return -1
}
