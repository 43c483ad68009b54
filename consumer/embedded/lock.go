package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
)

// lockName is the file of a data directory whose lock its user holds.
const lockName = "lock"

// LockDataDir makes a data directory ours until the result is closed or this process
// ends: two servers on one store would each overwrite what the other acknowledged.
func LockDataDir(dir string, log zerolog.Logger) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	name := filepath.Join(dir, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o640)
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("data_dir: %w", notOurs(name, err, name, storeIn(dir)))
	}
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}

	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		defer f.Close()
		return nil, fmt.Errorf("data_dir %s is in use by %s: stop it, or give this one a data_dir of its own "+
			"(several `supernats consume` stand by for each other on one NATS server: nats.url)", dir, lockHolder(f))
	case err != nil: // some network file systems have no locks
		log.Warn().Err(err).Str("data_dir", dir).
			Msg("data_dir cannot be locked: take care that no second `supernats consume` uses it")
		return f, nil
	}

	// For people. (Not cut to nothing first, so that there is always a number.)
	if n, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err == nil {
		_ = f.Truncate(int64(n))
	}
	return f, nil
}

// lockHolder names the process that holds a lock.
func lockHolder(f *os.File) string {
	b := make([]byte, 20)
	n, _ := f.ReadAt(b, 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return "pid " + pid
	}
	return "another process"
}
