package spool

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"supernats/bridge/spool/files"
)

// memFS is a file system that knows what a power cut leaves: the contents of a
// file are safe after Sync, names after SyncDir, and of everything else any part.
type memFS struct {
	mu    sync.Mutex
	names map[string]*memFile
	safe  map[string]*memFile // after a power cut
	ops   int                 // how many operations there were
	// fault, if not nil, says what goes wrong with an operation.
	fault func(op int, what string) fault
	log   []string // of operations that went wrong
}

type fault int

const (
	none  fault = iota
	fails       // and nothing happens
	half        // of a write happens, or none of it, and there is no room
	late        // it happens, and is said to have failed
)

type memFile struct {
	fs         *memFS
	name       string
	data, safe []byte
	// given up are the bytes that were not flushed when a flush failed: another
	// flush succeeds, and does nothing for them (as on Linux).
	givenUp []bool
}

func newMemFS() *memFS {
	return &memFS{names: map[string]*memFile{}, safe: map[string]*memFile{}}
}

// begin counts an operation.
func (m *memFS) begin(what string) fault {
	op := m.ops
	m.ops++
	if m.fault == nil {
		return none
	}
	f := m.fault(op, what)
	if f != none {
		m.log = append(m.log, what)
	}
	return f
}

// do runs an operation that cannot be half done.
func (m *memFS) do(what string, f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	how := m.begin(what)
	if how == fails {
		return syscall.EIO
	}
	if how == half {
		return syscall.ENOSPC
	}
	if err := f(); err != nil || how == none {
		return err
	}
	return syscall.EIO
}

func (m *memFS) Open(name string, flag int) (f files.File, err error) {
	err = m.do("open "+filepath.Base(name), func() error {
		mf := m.names[name]
		if mf == nil {
			if flag&os.O_CREATE == 0 {
				return os.ErrNotExist
			}
			mf = &memFile{fs: m, name: filepath.Base(name)}
			m.names[name] = mf
		}
		if flag&os.O_TRUNC != 0 {
			mf.data, mf.givenUp = nil, nil
		}
		f = mf
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m *memFS) List(dir string) (list []files.Listed, err error) {
	err = m.do("list", func() error {
		for _, name := range slices.Sorted(maps.Keys(m.names)) {
			list = append(list, files.Listed{Name: filepath.Base(name), Size: int64(len(m.names[name].data))})
		}
		return nil
	})
	return list, err
}

func (m *memFS) Remove(name string) error {
	return m.do("remove "+filepath.Base(name), func() error {
		if m.names[name] == nil {
			return os.ErrNotExist
		}
		delete(m.names, name)
		return nil
	})
}

func (m *memFS) Link(name, second string) error {
	return m.do("link", func() error {
		if m.names[second] != nil {
			return os.ErrExist
		}
		m.names[second] = m.names[name]
		return nil
	})
}

func (m *memFS) SyncDir(string) error {
	return m.do("directory sync", func() error {
		m.safe = maps.Clone(m.names)
		return nil
	})
}

// Map fails, as on some file systems.
func (m *memFS) Map(files.File, int) ([]byte, func() error, error) {
	return nil, nil, errors.ErrUnsupported
}

func (m *memFS) Space(string) (free, total uint64, err error) {
	return 1 << 40, 1 << 41, m.do("space", func() error { return nil })
}

func (f *memFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.fs.do("read", func() error {
		n = copy(p, f.data[min(off, int64(len(f.data))):])
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n, err := len(p), error(nil)
	switch f.fs.begin("write " + f.name) {
	case fails:
		return 0, syscall.EIO
	case half:
		n, err = len(p)/2, syscall.ENOSPC
	case late:
		err = syscall.EIO
	}
	if grow := off + int64(n) - int64(len(f.data)); grow > 0 {
		f.data = append(f.data, make([]byte, grow)...)
	}
	copy(f.data[off:], p[:n])
	for i := off; i < off+int64(n) && i < int64(len(f.givenUp)); i++ {
		f.givenUp[i] = false
	}
	return n, err
}

func (f *memFile) Truncate(size int64) error {
	return f.fs.do("truncate", func() error {
		f.data = f.data[:min(size, int64(len(f.data)))]
		return nil
	})
}

func (f *memFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.begin("sync "+f.name) != none {
		f.givenUp = make([]bool, len(f.data))
		for i, b := range f.data {
			f.givenUp[i] = i >= len(f.safe) || f.safe[i] != b
		}
		return syscall.EIO
	}
	safe := bytes.Clone(f.data)
	for i := range safe {
		if i < len(f.givenUp) && f.givenUp[i] {
			safe[i] = 0
		}
	}
	f.safe = safe
	return nil
}

func (f *memFile) Close() error { return f.fs.do("close", func() error { return nil }) }

// powerCut returns what is there when the machine is up again.
func (m *memFS) powerCut(r *rand.Rand) *memFS {
	after := newMemFS()
	keep := func(name string, f *memFile) {
		b := f.afterCut(r)
		after.names[name] = &memFile{fs: after, data: b, safe: bytes.Clone(b)}
	}
	for name, f := range m.names {
		if m.safe[name] != nil || r.IntN(2) == 0 {
			keep(name, f)
		}
	}
	for name, f := range m.safe {
		if m.names[name] == nil && r.IntN(2) == 0 {
			keep(name, f) // its removal was forgotten
		}
	}
	after.safe = maps.Clone(after.names)
	return after
}

// afterCut mixes what is safe and what is not, block by block.
func (f *memFile) afterCut(r *rand.Rand) []byte {
	const block = 16
	size := len(f.safe)
	switch r.IntN(3) {
	case 0:
		size = len(f.data)
	case 1:
		size = min(len(f.safe), len(f.data)) + r.IntN(max(1, len(f.data)-len(f.safe)+1))
	}
	b := make([]byte, size)
	copy(b, f.safe)
	for i := 0; i < size; i += block {
		if r.IntN(2) == 0 && i < len(f.data) {
			copy(b[i:min(i+block, size)], f.data[i:])
		}
	}
	return b
}
