package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

// After a trial as root, the daemon runs as a service: the error names the owner of the
// files and the command that fixes it. It does not start with a store that takes nothing.
func TestStoreOfAnotherUser(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	store, lock := storeIn(dir), filepath.Join(dir, lockName)
	deep := filepath.Join(store, "jetstream", "$G", "streams", "SUPERVISOR", "obs", "supernats")
	state := filepath.Join(deep, "o.dat")
	for _, err := range []error{
		os.MkdirAll(deep, 0o777), os.WriteFile(state, nil, 0o600), os.WriteFile(lock, nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	for d := deep; d != dir; d = filepath.Dir(d) { // whatever the umask is
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}

	if err := checkOwner(store, zerolog.Nop()); err != nil {
		t.Errorf("our own: %v", err)
	}
	var locked, stored error
	asAnother(t, []string{lock, state}, func() {
		_, locked = LockDataDir(dir, zerolog.Nop())
		stored = checkOwner(store, zerolog.Nop())
	})
	for _, c := range []struct {
		err        error
		path, ends string
	}{
		{err: locked, path: lock, ends: lock + " " + store},
		{err: stored, path: state, ends: store},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.path+": permission denied for ") || !strings.HasSuffix(c.err.Error(), " "+c.ends) {
			t.Errorf("got %v, want one about %s with chown -R of %s", c.err, c.path, c.ends)
		}
	}

	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(store, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := checkOwner(store, zerolog.New(&log)); err != nil || !strings.Contains(log.String(), `"owner":"12345"`) {
		t.Errorf("root on a store of somebody: %v, %s", err, log.String())
	}
}

// asAnother calls f as a user who may not write to some files.
func asAnother(t *testing.T, files []string, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		for _, file := range files {
			if err := os.Chmod(file, 0); err != nil {
				t.Fatal(err)
			}
		}
		f()
		return
	}

	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		const somebody = 65534
		_, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, somebody, somebody, somebody)
		if errno == 0 {
			f()
		}
		done <- errno
	}()
	if errno := <-done; errno != 0 {
		t.Fatal(errno)
	}
}
