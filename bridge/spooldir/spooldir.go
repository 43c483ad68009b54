// Package spooldir chooses the directory where the spool of a host lies: one that can be
// written to, and that nobody else can have put something into.
package spooldir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"supernats/schema"
)

// systemDir is where spools lie if we may write there. `supernats consume` keeps its
// embedded store in it too.
const systemDir = "/var/lib/supernats"

// storeDirs are the names that `supernats consume` uses there.
var storeDirs = []string{"nats"}

// nameOf is the name of a host's directory: the host's own, unless that has another
// meaning in a directory.
func nameOf(host string) string {
	if strings.ContainsAny(host, "/=") || host == "." || host == ".." {
		return schema.Token(host)
	}
	if slices.Contains(storeDirs, host) {
		return fmt.Sprintf("=%02X%s", host[0], host[1:])
	}
	return host
}

// defaultDirs are the default directories of a host's spool, best first. The last ones
// do not survive a restart of the machine, or of the container.
func defaultDirs(host string) []string { return DefaultsOf(host, os.Getenv, os.Geteuid()) }

// DefaultsOf are the default directories, best first, of a bridge of some user in some
// environment.
func DefaultsOf(host string, getenv func(string) string, uid int) []string {
	name := nameOf(host)
	dirs := []string{filepath.Join(systemDir, name)}
	add := func(base string, more ...string) {
		if filepath.IsAbs(base) {
			dirs = append(dirs, filepath.Join(append(append([]string{base}, more...), name)...))
		}
	}
	add(getenv("XDG_STATE_HOME"), "supernats")
	add(getenv("HOME"), ".local", "state", "supernats")
	add("/run/supernats")
	add(getenv("XDG_RUNTIME_DIR"), "supernats")
	add(getenv("TMPDIR"), temporaryNameOf(uid))
	add("/tmp", temporaryNameOf(uid))
	return slices.Compact(dirs)
}

// temporaryName is the name of our directory where everybody may write.
func temporaryName() string { return temporaryNameOf(os.Geteuid()) }

func temporaryNameOf(uid int) string { return fmt.Sprintf("supernats-%d", uid) }

// Choice is where the spool of a host may lie.
type Choice struct {
	Host string
	Dir  string // that of --spool-dir; empty: the best default directory
}

// Find returns the directory that was chosen, or the first default directory that takes a
// file.
func (c Choice) Find() (string, error) {
	if c.Dir != "" {
		return c.Dir, nil
	}
	var tried []string
	for _, dir := range defaultDirs(c.Host) {
		err := tryDir(dir)
		if err == nil {
			return dir, nil
		}
		tried = append(tried, err.Error())
	}
	return "", fmt.Errorf("no directory for it can be written to (%s): %w", strings.Join(tried, "; "), fs.ErrPermission)
}

// Elsewhere are the default directories, where an earlier run may have left a spool.
func (c Choice) Elsewhere() []string {
	if c.Dir != "" {
		return nil
	}
	return slices.DeleteFunc(defaultDirs(c.Host), func(dir string) bool { return !isSafe(dir) })
}

// All are the directories where a spool of the host may be.
func (c Choice) All() []string {
	if c.Dir != "" {
		return []string{c.Dir}
	}
	return defaultDirs(c.Host)
}

// tryDir makes a directory, and writes to it. One that is only full is right: what
// fails is reported by the spool.
func tryDir(dir string) error {
	if filepath.Base(filepath.Dir(dir)) == temporaryName() {
		// Where everybody may write, somebody else may have been there before us.
		if err := os.Mkdir(filepath.Dir(dir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if !isSafe(dir) {
		return fmt.Errorf("%s: belongs to somebody else, or others may write to it", filepath.Dir(dir))
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}

	probe, err := os.CreateTemp(dir, ".probe")
	if err == nil {
		_, err = probe.Write(make([]byte, 4096))
		err = errors.Join(err, probe.Close(), os.Remove(probe.Name()))
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return nil
	}
	return err
}

// isSafe reports whether nobody else can put anything in the place of a directory, or
// read what is in it. Only temporary directories are in doubt.
func isSafe(dir string) bool {
	parent := filepath.Dir(dir)
	if filepath.Base(parent) != temporaryName() {
		return true
	}
	info, err := os.Lstat(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
