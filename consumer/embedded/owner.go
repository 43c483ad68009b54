package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
)

// checkOwner checks that all of a store can be written. A trial of the daemon as root
// leaves files that the service's user may not open; nats-server starts with them all the
// same, and stores nothing in some streams.
func checkOwner(dir string, log zerolog.Logger) error {
	// syscall.Access goes by the real user; the daemon has no other. The bits are those of
	// access(2).
	const read, write, enter = 4, 2, 1
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, os.ErrPermission):
			return notOurs(path, err, dir)
		case err != nil: // what is gone, nats-server creates again
			return nil //nolint:nilerr
		}

		mode := uint32(read | write)
		if d.IsDir() {
			mode |= enter
		}
		if err := syscall.Access(path, mode); errors.Is(err, syscall.EACCES) {
			return notOurs(path, err, dir)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}

	// It works now, but no longer for the owner once root has created files.
	if owner, ok := ownerOf(dir); ok && os.Geteuid() == 0 && owner != 0 {
		log.Warn().Str("data_dir", filepath.Dir(dir)).Str("owner", userName(owner)).Str("fix", "run it as that user").
			Msg("the store belongs to another user, who may not open the files that root creates")
	}
	return nil
}

// notOurs is the error of a file that this process may not use: whose it is, and the
// command that fixes it for all that the process needs.
func notOurs(path string, err error, all ...string) error {
	whose := ""
	if owner, ok := ownerOf(path); ok {
		whose = ", it belongs to " + userName(owner)
	}
	var wrong *fs.PathError
	if errors.As(err, &wrong) {
		err = wrong.Err
	}
	me := userName(os.Geteuid())
	return fmt.Errorf("%s: %w for %s%s: run as root: chown -R %s %s", path, err, me, whose, me, strings.Join(all, " "))
}

// storeIn is where in a data directory the embedded server stores.
func storeIn(dataDir string) string { return filepath.Join(dataDir, "nats") }

func ownerOf(path string) (uid int, ok bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

// userName returns a user's name, or the number of one without.
func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}
