package access

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// stranger is a user to whom nothing here belongs.
var stranger = Account{Name: "4711", UID: 4711, Groups: []int{4711}}

// place is a directory with a file and a program that everybody may use.
type place struct{ dir, file, program string }

func newPlace(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := place{dir: filepath.Join(dir, "in")}
	p.fill(t)
	return p
}

// fill makes the directory if it is not there, and what is in it.
func (p *place) fill(t *testing.T) {
	t.Helper()
	p.file, p.program = filepath.Join(p.dir, "file"), filepath.Join(p.dir, "program")
	if err := os.MkdirAll(p.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{p.file: 0o666, p.program: 0o755, p.dir: 0o777} {
		if path != p.dir {
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// mount puts a file system in memory over the directory.
func (p *place) mount(t *testing.T, flags uintptr) {
	t.Helper()
	if err := unix.Mount("none", p.dir, "tmpfs", 0, "mode=0777"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(p.dir, 0) })
	p.fill(t)
	if err := unix.Mount("none", p.dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// deny gives a file an access list that leaves nothing to a user, whatever its mode says.
func deny(t *testing.T, path string, uid int, mode os.FileMode) {
	t.Helper()
	const noID = 0xffffffff
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, rights uint16
		id          uint32
	}{
		{1, uint16(mode >> 6 & 7), noID},
		{2, 0, uint32(uid)},
		{4, uint16(mode >> 3 & 7), noID},
		{0x10, 7, noID},
		{0x20, uint16(mode & 7), noID},
	} {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.rights)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	if err := unix.Setxattr(path, "system.posix_acl_access", list, 0); err != nil {
		t.Skipf("no access lists here: %v", err)
	}
}

// chattr sets a flag of a file for the length of a test.
func chattr(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		t.Skipf("no flags here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("chattr", "-i", path).Run() })
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can try what others may do")
	}
}

// What keeps a user out is found, whatever it is, with the command that lets him in.
func TestDenied(t *testing.T) {
	needRoot(t)
	root := Account{Name: "root"}
	for _, c := range []struct {
		name string
		make func(*testing.T, *place)
		who  Account
		path func(*place) string
		use  Use
		// want is in Why; at is what is in the way, fix what Fix begins with.
		want string
		at   func(*place) string
		fix  string
		mode bool
	}{
		{
			name: "the mode of a file", who: stranger, use: Read, path: (*place).ofFile, at: (*place).ofFile,
			make: func(t *testing.T, p *place) { chmod(t, p.file, 0o600) },
			want: "its mode is 0600, and it belongs to root", mode: true,
		},
		{
			name: "the mode of a directory above", who: stranger, use: Read, path: (*place).ofFile, at: (*place).ofDir,
			make: func(t *testing.T, p *place) { chmod(t, p.dir, 0o700) },
			want: "its mode is 0700, and it belongs to root", mode: true,
		},
		{
			name: "an access list", who: stranger, use: Keep, path: (*place).ofDir, at: (*place).ofDir,
			make: func(t *testing.T, p *place) { deny(t, p.dir, stranger.UID, 0o777) },
			want: "access list", fix: "setfacl -m u:4711:wx ",
		},
		{
			name: "an access list of a file", who: stranger, use: Read, path: (*place).ofFile, at: (*place).ofFile,
			make: func(t *testing.T, p *place) { deny(t, p.file, stranger.UID, 0o666) },
			want: "access list", fix: "setfacl -m u:4711:r ",
		},
		{
			name: "a file system that is read-only", who: root, use: Keep, path: (*place).ofDir, at: (*place).ofDir,
			make: func(t *testing.T, p *place) { p.mount(t, unix.MS_RDONLY) },
			want: "mounted read-only", fix: "mount -o remount,rw ",
		},
		{
			name: "a file system without programs", who: stranger, use: Run, path: (*place).ofProgram, at: (*place).ofProgram,
			make: func(t *testing.T, p *place) { p.mount(t, unix.MS_NOEXEC) },
			want: "mounted noexec", fix: "mount -o remount,exec ",
		},
		{
			name: "a directory that nobody may change", who: root, use: Keep, path: (*place).ofDir, at: (*place).ofDir,
			make: func(t *testing.T, p *place) { chattr(t, p.dir) },
			want: "immutable", fix: "chattr -i ",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			if d := c.who.Denied(c.path(&p), c.use); d != nil {
				t.Fatalf("before: %+v", d)
			}
			c.make(t, &p)

			d := c.who.Denied(c.path(&p), c.use)
			if d == nil {
				t.Fatal("it is not denied")
			}
			if d.Path != c.at(&p) || !strings.Contains(d.Why, c.want) || d.ByMode != c.mode {
				t.Errorf("%+v", d)
			}
			if !strings.HasPrefix(d.Fix, c.fix) || (d.Fix == "") != c.mode {
				t.Errorf("fix %q", d.Fix)
			}
		})
	}
}

func (p *place) ofFile() string    { return p.file }
func (p *place) ofDir() string     { return p.dir }
func (p *place) ofProgram() string { return p.program }

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// A directory may be kept where it can be made, and nowhere beneath a file.
func TestDeniedKeep(t *testing.T) {
	needRoot(t)
	p := newPlace(t)
	below := filepath.Join(p.dir, "new", "er")
	if d := stranger.DeniedKeep(below); d != nil {
		t.Errorf("%+v", d)
	}
	chmod(t, p.dir, 0o755)
	if d := stranger.DeniedKeep(below); d == nil || d.Path != p.dir || !d.ByMode {
		t.Errorf("%+v", d)
	}
	if d := stranger.DeniedKeep(filepath.Join(p.file, "x")); d == nil || d.Why != "it is no directory" {
		t.Errorf("%+v", d)
	}
	if _, err := os.Stat(below); err == nil {
		t.Error("a try has made the directory")
	}
}

// The rights of another user are those of one thread, and end with it.
func TestOurRightsStay(t *testing.T) {
	needRoot(t)
	p := newPlace(t)
	chmod(t, p.file, 0o600)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if d := stranger.Denied(p.file, Read); d == nil {
				t.Error("a stranger may read it")
			}
			if _, err := os.ReadFile(p.file); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if os.Geteuid() != 0 {
		t.Errorf("we are %d", os.Geteuid())
	}
}

// Who is not root may not try what another user may do: nothing is known then.
func TestWithoutRoot(t *testing.T) {
	needRoot(t)
	p := newPlace(t)
	chmod(t, p.file, 0o600)
	other := Account{Name: "4712", UID: 4712, Groups: []int{4712}}

	err := stranger.run(func() {
		if err := other.Try(); !errors.Is(err, ErrNotRoot) {
			t.Errorf("another user is tried: %v", err)
		}
		if d := other.Denied(p.file, Read); d != nil {
			t.Errorf("another user is denied: %+v", d)
		}
		if d := stranger.Denied(p.file, Read); d == nil {
			t.Error("our own rights are not tried")
		}
	})
	if err != nil {
		t.Error(err)
	}
}
