// Package files is what the spool needs of a file system: files, which tests can make fail,
// and the lock of a directory.
package files

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Modes of new directories and files.
const (
	DirMode = 0o750
	Mode    = 0o640
)

// System is a file system. Names are paths.
type System interface {
	Open(name string, flag int) (File, error)
	// List returns the names in a directory, sorted, with their sizes.
	List(dir string) ([]Listed, error)
	Remove(name string) error
	// Link gives a file a second name.
	Link(name, second string) error
	SyncDir(dir string) error
	// Map maps the first size bytes of a file into memory, shared with the file.
	Map(f File, size int) (b []byte, unmap func() error, err error)
	// Space returns how many bytes of the file system are free for us, and its size.
	Space(dir string) (free, total uint64, err error)
}

// Listed is one file of a directory; Size is in bytes.
type Listed struct {
	Name string
	Size int64
}

// File is an open file.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Disk is the operating system's file system.
type Disk struct{}

func (Disk) Open(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, Mode)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (Disk) List(dir string) ([]Listed, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]Listed, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile, by the process that has the spool open
		}
		if err != nil {
			return nil, err
		}
		names = append(names, Listed{e.Name(), info.Size()})
	}
	return names, nil
}

func (Disk) Remove(name string) error       { return os.Remove(name) }
func (Disk) Link(name, second string) error { return os.Link(name, second) }

func (Disk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (Disk) Space(dir string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

func (Disk) Map(f File, size int) ([]byte, func() error, error) {
	fd, ok := f.(*os.File)
	if !ok {
		return nil, nil, errors.ErrUnsupported
	}
	b, err := syscall.Mmap(int(fd.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return b, func() error { return syscall.Munmap(b) }, nil
}

// Unlinked reports whether an open file no longer has a name.
func Unlinked(f File) bool {
	fd, ok := f.(*os.File)
	if !ok {
		return false
	}
	info, err := fd.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// IsFull reports whether a write failed for lack of room.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
