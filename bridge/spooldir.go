package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"supernats/bridge/spool"
	"supernats/schema"
)

// systemDir is where spools lie if we may write there. `supernats consume` keeps its
// embedded store in it too.
const systemDir = "/var/lib/supernats"

// storeDirs are the names that `supernats consume` uses there.
var storeDirs = []string{"nats"}

// spoolName is the name of a host's directory: the host's own, unless that has another
// meaning in a directory.
func spoolName(host string) string {
	if strings.ContainsAny(host, "/=") || host == "." || host == ".." {
		return schema.Token(host)
	}
	if slices.Contains(storeDirs, host) {
		return fmt.Sprintf("=%02X%s", host[0], host[1:])
	}
	return host
}

// spoolDirs are the default directories of a host's spool, best first. The last ones
// do not survive a restart of the machine, or of the container.
func spoolDirs(host string) []string {
	name := spoolName(host)
	dirs := []string{filepath.Join(systemDir, name)}
	add := func(base string, more ...string) {
		if filepath.IsAbs(base) {
			dirs = append(dirs, filepath.Join(append(append([]string{base}, more...), name)...))
		}
	}
	add(os.Getenv("XDG_STATE_HOME"), "supernats")
	add(os.Getenv("HOME"), ".local", "state", "supernats")
	add("/run/supernats")
	add(os.Getenv("XDG_RUNTIME_DIR"), "supernats")
	add(os.Getenv("TMPDIR"), temporary())
	add("/tmp", temporary())
	return slices.Compact(dirs)
}

// temporary is the name of our directory where everybody may write.
func temporary() string { return fmt.Sprintf("supernats-%d", os.Geteuid()) }

// findSpool returns --spool-dir, or the first default directory that takes a file.
func (c Config) findSpool() (string, error) {
	if c.SpoolDir != "" {
		return c.SpoolDir, nil
	}
	var tried []string
	for _, dir := range spoolDirs(c.Host) {
		err := tryDir(dir)
		if err == nil {
			return dir, nil
		}
		tried = append(tried, err.Error())
	}
	return "", fmt.Errorf("no directory for it can be written to (%s): %w", strings.Join(tried, "; "), fs.ErrPermission)
}

// elsewhere are the default directories, where an earlier run may have left a spool.
func (c Config) elsewhere() []string {
	if c.SpoolDir != "" {
		return nil
	}
	dirs := spoolDirs(c.Host)
	if slices.Contains(storeDirs, c.Host) {
		dirs = append(dirs, filepath.Join(systemDir, c.Host)) // of a version that did not look
	}
	return slices.DeleteFunc(dirs, func(dir string) bool { return !safe(dir) })
}

// tryDir makes a directory, and writes to it. One that is only full is right: what
// fails is said by the spool.
func tryDir(dir string) error {
	if filepath.Base(filepath.Dir(dir)) == temporary() {
		// Where everybody may write, somebody else may have been there before us.
		if err := os.Mkdir(filepath.Dir(dir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if !safe(dir) {
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

// safe reports whether nobody else can put anything in the place of a directory, or
// read what is in it. Only temporary directories are in doubt.
func safe(dir string) bool {
	parent := filepath.Dir(dir)
	if filepath.Base(parent) != temporary() {
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

// owner says whose our spool is, where several share a directory.
func (c Config) owner() spool.Owner {
	section := os.Getenv("SUPERVISOR_GROUP_NAME") + ":" + os.Getenv("SUPERVISOR_PROCESS_NAME")
	return spool.Owner{Host: c.Host, Server: c.ServerURL, Section: section, UID: os.Geteuid()}
}

// Spools returns the directories of the spools of the host, of all bridges that share
// one. There is an error if there is none.
func (c Config) Spools() (found []string, err error) {
	if c.Host, err = c.host(); err != nil {
		return nil, err
	}
	dirs := []string{c.SpoolDir}
	if c.SpoolDir == "" {
		dirs = spoolDirs(c.Host)
	}
	for _, dir := range dirs {
		slots, err := spool.Slots(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		for _, slot := range slots {
			if host := spool.HostOf(slot); host == "" || host == c.Host || c.SpoolDir != "" {
				found = append(found, slot)
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no spool of host %q in %s: want the --host or --spool-dir of a bridge that has run here", c.Host, strings.Join(dirs, ", "))
	}
	return found, nil
}

// describeSpool says in a record of ourselves where events wait.
func (b *Bridge) describeSpool(rec *schema.Bridge) {
	rec.Spool = schema.SpoolMemory
	queue := b.journal.spool.Load()
	if queue == nil {
		return
	}
	rec.Instance = queue.Instance()
	if dir := queue.Dir(); dir != "" {
		rec.Settings["spool-dir"] = dir
		if queue.Stats().Disk == nil {
			rec.Spool = schema.SpoolDisk
		}
	}
}

// SyncPolicy is how often the spool is flushed to the platter: a duration,
// "always" or "never".
type SyncPolicy struct{ every time.Duration }

const (
	syncAlways = "always"
	syncNever  = "never"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *SyncPolicy) UnmarshalText(b []byte) error {
	switch s := string(b); s {
	case syncAlways:
		p.every = 0
	case syncNever:
		p.every = -1
	default:
		d, err := schema.ParseDuration(s)
		if err != nil || d == 0 {
			return fmt.Errorf("%q is no way to flush; allowed are a duration above zero, %s, %s", s, syncAlways, syncNever)
		}
		p.every = time.Duration(d)
	}
	return nil
}

func (p SyncPolicy) String() string {
	switch {
	case p.every == 0:
		return syncAlways
	case p.every < 0:
		return syncNever
	}
	return schema.Duration(p.every).String()
}
