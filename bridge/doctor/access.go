package doctor

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// account is a user with its groups.
type account struct {
	name   string
	uid    int
	groups []int
}

// findAccount finds a user by name or number.
func findAccount(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return account{}, err
		}
	}

	a := account{name: u.Username}
	if a.uid, err = strconv.Atoi(u.Uid); err != nil {
		return a, err
	}
	groups, _ := u.GroupIds()
	for _, g := range append(groups, u.Gid) {
		if n, err := strconv.Atoi(g); err == nil {
			a.groups = append(a.groups, n)
		}
	}
	return a, nil
}

// accountOf is the user with a number, without a name if there is none.
func accountOf(uid int) account {
	if a, err := findAccount(strconv.Itoa(uid)); err == nil {
		return a
	}
	return account{name: strconv.Itoa(uid), uid: uid}
}

// What a file may be used for, as in its mode.
const (
	toRead  = 4
	toWrite = 2
	toEnter = 1
)

// denied returns the file or directory that keeps an account from using a path, "" if none
// is known to.
func (a account) denied(path string, use fs.FileMode) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && !a.may(info, toEnter) {
			return dir
		}
		if dir == "/" || dir == "." {
			break
		}
	}
	if info, err := os.Stat(path); err == nil && !a.may(info, use) {
		return path
	}
	return ""
}

// may reports whether the mode of a file lets an account use it.
func (a account) may(info fs.FileInfo, use fs.FileMode) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	if !ok {
		return true
	}
	if a.uid == 0 {
		return use&toEnter == 0 || info.IsDir() || mode&0o111 != 0
	}
	switch {
	case int(st.Uid) == a.uid:
		mode >>= 6
	case slices.Contains(a.groups, int(st.Gid)):
		mode >>= 3
	}
	return mode&use == use
}

// mayKeep reports whether an account can make a directory, or write to the one that is
// there.
func (a account) mayKeep(dir string) bool {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) && at != "/" {
			continue
		}
		if err != nil {
			return !errors.Is(err, syscall.ENOTDIR) // we may not see it: not known
		}
		return info.IsDir() && a.denied(at, toWrite|toEnter) == ""
	}
}
