package bridge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"supernats/schema"
)

// systemSpool is where spools lie if we may write there.
const systemSpool = "/var/lib/supernats"

// spoolDir returns the default directory of a host's spool.
func spoolDir(host string) string {
	name := host
	if strings.ContainsRune(host, filepath.Separator) || host == "." || host == ".." {
		name = schema.Token(host)
	}
	dir := filepath.Join(systemSpool, name)
	if err := os.MkdirAll(dir, 0o750); err == nil {
		if probe, err := os.CreateTemp(dir, ".probe"); err == nil {
			_, _ = probe.Close(), os.Remove(probe.Name())
			return dir
		}
	}
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return dir // as supervisord gives us none; it may become writable
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "supernats", name)
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
