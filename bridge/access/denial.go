package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"supernats/schema/checkup"

	"golang.org/x/sys/unix"
)

// Use is what a file or a directory is to be used for.
type Use uint32

// Uses; to Keep is to make a directory, or write to the one that is there.
const (
	Read  Use = unix.R_OK
	Write Use = unix.W_OK
	Run   Use = unix.X_OK // a file
	Enter Use = unix.X_OK // a directory
	Keep  Use = Write | Enter
)

// Denial is why an account may not use a path.
type Denial struct {
	// Path is what is in the way: the path itself, or a directory above it.
	Path string
	// Why says what about it: "its mode is 0700, and it belongs to root".
	Why string
	// Fix is the command that opens it, "" where it takes more than one.
	Fix string
	// ByMode says that the mode and the owner of the path keep the account out, and nothing
	// else is known to.
	ByMode bool
}

// Denied tries to use a path that is there. It returns nil if the account may, if the path
// is not there, or if that cannot be tried.
func (a Account) Denied(path string, use Use) (d *Denial) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	_ = a.run(func() {
		for _, dir := range parents(path) {
			if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, 0); err != nil {
				d = denialOf(dir, err)
				return
			}
		}
		if err := unix.Faccessat(unix.AT_FDCWD, path, uint32(use), 0); err != nil {
			d = denialOf(path, err)
		}
	})
	if d != nil {
		a.explain(d, use)
	}
	return d
}

// DeniedKeep tries whether the account may make a directory, or write to the one that is
// there. A path of which a part is no directory is denied too.
func (a Account) DeniedKeep(dir string) *Denial {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && at != "/":
			continue
		case errors.Is(err, syscall.ENOTDIR), err == nil && !info.IsDir():
			return &Denial{Path: at, Why: "it is no directory"}
		case err != nil:
			return nil // we may not see it
		}
		return a.Denied(at, Keep)
	}
}

// parents are the directories above an absolute path, the highest first.
func parents(path string) (dirs []string) {
	for dir := filepath.Dir(path); dir != "." && !slices.Contains(dirs, dir); dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

// denialOf makes one of an error; nil for one that is not about rights.
func denialOf(path string, err error) *Denial {
	for _, denying := range []error{unix.EACCES, unix.EPERM, unix.EROFS} {
		if errors.Is(err, denying) {
			return &Denial{Path: path, Why: denying.Error()}
		}
	}
	return nil
}

// explain says why a use is denied. It looks with our own rights.
func (a Account) explain(d *Denial, use Use) {
	info, err := os.Stat(d.Path)
	if err != nil {
		return
	}
	name := checkup.Quote(d.Path)
	if info.IsDir() && use == Run {
		use = Enter
	}

	mount := mountOf(d.Path)
	switch {
	case d.Why == unix.EROFS.Error():
		d.Why = "its file system " + mount.dir + " is mounted read-only"
		d.Fix = "mount -o remount,rw " + checkup.Quote(mount.dir)
	case isFlagged(d.Path):
		d.Why = "it has the flag immutable (lsattr -d)"
		d.Fix = "chattr -i " + name
	case hasList(d.Path):
		d.Why = "its access list (getfacl) denies it"
		d.Fix = "setfacl -m u:" + checkup.Quote(a.Name) + ":" + letters(use) + " " + name
	case !a.modeAllows(info, use):
		d.Why = fmt.Sprintf("its mode is %#o, and it belongs to %s", info.Mode().Perm(), ownerOf(info))
		d.ByMode = true
	case use == Run && !info.IsDir() && mount.has("noexec"):
		d.Why = "its file system " + mount.dir + " is mounted noexec"
		d.Fix = "mount -o remount,exec " + checkup.Quote(mount.dir)
	default:
		d.Why = "its mode allows it: SELinux, AppArmor or something alike denies it"
	}
}

// modeAllows reports whether the mode of a file lets the account use it.
func (a Account) modeAllows(info fs.FileInfo, use Use) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := Use(info.Mode().Perm())
	switch {
	case !ok:
		return true
	case a.UID == 0:
		return use&Run == 0 || info.IsDir() || mode&0o111 != 0
	case int(st.Uid) == a.UID:
		mode >>= 6
	case slices.Contains(a.Groups, int(st.Gid)):
		mode >>= 3
	}
	return mode&use == use
}

// ownerOf names the user to whom a file belongs.
func ownerOf(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "somebody else"
	}
	id := strconv.Itoa(int(st.Uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// isFlagged reports whether a file has the flag immutable.
func isFlagged(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0
}

// hasList reports whether a file has an access list beside its mode.
func hasList(path string) bool {
	n, err := unix.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && n > 0
}

// letters are a use in the language of setfacl.
func letters(use Use) string {
	text := ""
	for _, l := range []struct {
		use    Use
		letter string
	}{{Read, "r"}, {Write, "w"}, {Run, "x"}} {
		if use&l.use != 0 {
			text += l.letter
		}
	}
	return text
}

// mount is where a file system is mounted.
type mount struct {
	dir     string
	options []string
}

func (m mount) has(option string) bool { return slices.Contains(m.options, option) }

// mountOf finds the file system of a path in /proc/self/mounts.
func mountOf(path string) (found mount) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return mount{dir: path}
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		dir := unescape.Replace(fields[1])
		below := dir == "/" || path == dir || strings.HasPrefix(path, dir+"/")
		if below && len(dir) >= len(found.dir) { // the last mount on a directory covers the others
			found = mount{dir: dir, options: strings.Split(fields[3], ",")}
		}
	}
	return found
}
