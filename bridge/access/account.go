// Package access finds out what a user of this machine may do with a file, by trying it with
// the rights of that user: so whatever the kernel has to say counts, the access lists, mounts
// and flags as well as the modes. It opens, creates and changes nothing.
//
// A try runs on a thread of its own that takes the user's rights and ends with them; the rest
// of the process keeps its own. Only root may do that for other users. A file system that
// does not answer makes a try wait: the caller bounds the time.
package access

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Account is a user with its groups.
type Account struct {
	Name string
	UID  int
	// Groups are the ids of its groups, the primary one last.
	Groups []int
}

// ErrNotRoot is returned where the rights of another user would be needed.
var ErrNotRoot = errors.New("only root can try what another user may do")

// Find finds a user by name or number.
func Find(name string) (Account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return Account{}, err
		}
	}

	a := Account{Name: u.Username}
	if a.UID, err = strconv.Atoi(u.Uid); err != nil {
		return a, err
	}
	groups, _ := u.GroupIds()
	groups = slices.DeleteFunc(groups, func(g string) bool { return g == u.Gid })
	for _, g := range append(groups, u.Gid) {
		if n, err := strconv.Atoi(g); err == nil {
			a.Groups = append(a.Groups, n)
		}
	}
	return a, nil
}

// Of is the user with a number, without a name if there is none.
func Of(uid int) Account {
	if a, err := Find(strconv.Itoa(uid)); err == nil {
		return a
	}
	return Account{Name: strconv.Itoa(uid), UID: uid}
}

// Try reports whether this process may try what an account may do; ErrNotRoot if not.
func (a Account) Try() error { return a.run(func() {}) }

// run calls f with the rights of the account.
func (a Account) run(f func()) error {
	if a.UID == os.Geteuid() {
		f()
		return nil
	}
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}

	done := make(chan error)
	go func() {
		// It stays locked, so the thread ends with this function, and the rights with it.
		runtime.LockOSThread()
		err := a.take()
		if err == nil {
			f()
		}
		done <- err
	}()
	return <-done
}

// take gives this thread the rights of the account for good. The functions of package
// syscall would change all threads.
func (a Account) take() error {
	groups := make([]uint32, max(len(a.Groups), 1))
	for i, g := range a.Groups {
		groups[i] = uint32(g)
	}
	primary := uintptr(syscall.Getgid())
	if n := len(a.Groups); n > 0 {
		primary = uintptr(a.Groups[n-1])
	}

	uid := uintptr(a.UID)
	for _, call := range []struct {
		name          string
		trap, a, b, c uintptr
	}{
		{"setgroups", unix.SYS_SETGROUPS, uintptr(len(a.Groups)), uintptr(unsafe.Pointer(&groups[0])), 0},
		{"setresgid", unix.SYS_SETRESGID, primary, primary, primary},
		{"setresuid", unix.SYS_SETRESUID, uid, uid, uid},
	} {
		if _, _, errno := syscall.RawSyscall(call.trap, call.a, call.b, call.c); errno != 0 {
			return fmt.Errorf("%w: %s: %w", ErrNotRoot, call.name, errno)
		}
	}
	runtime.KeepAlive(groups)
	return nil
}
