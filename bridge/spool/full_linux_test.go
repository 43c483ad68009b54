package spool

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"supernats/bridge/spool/files"

	"github.com/google/go-cmp/cmp"
)

// TestDiskFull fills a file system: one so small that more bytes are written between two
// checks of the space than are in reserve, and a larger one.
func TestDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts a file system")
	}
	if os.Geteuid() != 0 {
		inNamespace(t)
		return
	}
	for _, size := range []string{"8m", "40m"} {
		t.Run(size, func(t *testing.T) { diskFull(t, size) })
	}
}

// inNamespace runs the test in a user and a mount namespace of its own, in which an ordinary
// user may mount.
func inNamespace(t *testing.T) {
	c := exec.Command(os.Args[0], "-test.run=^TestDiskFull$")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("in a namespace of its own: %v\n%s", err, out)
	}
}

func diskFull(t *testing.T, size string) {
	disc := t.TempDir()
	if err := syscall.Mount("tmpfs", disc, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount tmpfs: %v (-short goes without)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disc, 0); err != nil {
			t.Error(err)
		}
	})
	left := func() float64 {
		free, total, err := files.Disk{}.Space(disc)
		if err != nil {
			t.Fatal(err)
		}
		return float64(free) / float64(total)
	}
	opt := Options{Dir: filepath.Join(disc, "spool"), SegmentBytes: 256 << 10, Sync: 0}
	s := open(t, opt)
	defer func() { closeSpool(t, s) }()
	var want, got []string
	full := func(when string) {
		t.Helper()
		had := len(want)
		fill(t, s, 1000, &want)
		if l := left(); l < 0.02 || l > 0.2 && had < len(want) {
			t.Errorf("%s: %d records more, and full with %.3f of the disk left", when, len(want)-had, l)
		}
	}
	full("at first")
	if len(want) < 5000 {
		t.Errorf("full with %d records", len(want))
	}

	// Records are done: as much is free again.
	got = append(got, take(t, s, 3000)...)
	had := len(want)
	full("when 3000 are done")
	if len(want) < had+1500 {
		t.Errorf("only %d records more", len(want)-had)
	}

	// Somebody else takes all the rest, and it cannot be written any more, nor
	// opened again; but what is there can be read and be done.
	other := filepath.Join(disc, "other")
	hog := func(leave float64) {
		f, err := os.Create(other)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil && left() > leave {
			_, err = f.Write(make([]byte, 4096))
		}
		if err != nil && !files.IsFull(err) {
			t.Fatal(err)
		}
		f.Close()
	}
	hog(0)
	had = len(want)
	fill(t, s, 1000, &want)
	closeSpool(t, s)
	s = open(t, opt)
	fill(t, s, 1000, &want)
	if len(want) != had {
		t.Errorf("%d records on a full disk", len(want)-had)
	}
	got = append(got, take(t, s, 2000)...)
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	full("when the other file is gone")
	if len(want) < had+1500 {
		t.Errorf("only %d records more", len(want)-had)
	}

	// Somebody else leaves less than the reserve: not a byte of it is ours.
	got = append(got, take(t, s, 2000)...)
	hog(0.019)
	for range 3 {
		closeSpool(t, s)
		s = open(t, opt)
		before := left()
		if err := s.Append([]byte("x")); !errors.Is(err, ErrFull) || left() != before {
			t.Errorf("in the reserve: %v, %.4f left, then %.4f", err, before, left())
		}
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}

	// Somebody else takes the rest between two checks of the space: the write
	// itself finds no room.
	got = append(got, take(t, s, 3000)...)
	appendAll(t, s, "one")
	want = append(want, "one")
	hog(0)
	fill(t, s, 1000, &want)
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	full("in the end")
	got = append(got, take(t, s, 0)...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
