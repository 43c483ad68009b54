// Package listeners finds the sections of supervisord's configuration that run a bridge, and
// what decides how each of them works: who runs it, in which environment, with which flags,
// and which events it gets.
package listeners

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"supernats/bridge/access"
	"supernats/bridge/daemons"
	"supernats/bridge/supervisordconf"
	"supernats/schema"
	"supernats/schema/natsconn"
)

// Program begins the name of the bridge's program.
const Program = "supernats-bridge"

// Bridge is a section that runs a bridge.
type Bridge struct {
	*supervisordconf.Section
	Pool   string
	Words  []string // of command=
	Events []string // of events=, in upper case
	// Account is who runs it; AccountErr says that there is no such user.
	Account    access.Account
	AccountErr error
	// Environ is what its process has; EnvironErr says that environment= is wrong.
	Environ    map[string]string
	EnvironErr error
	// Flags are those of its command; FlagsErr says what is wrong with them.
	Flags    Flags
	FlagsErr error
}

// Flags are what a section's command line says.
type Flags struct {
	Host, SpoolDir, ServerURL string
	Drain                     schema.Duration
	Skip                      []string
	NATS                      natsconn.Settings
	// Files are those that flags name, by flag.
	Files map[string]string
}

// Reader reads the sections of a configuration as a supervisord would run them.
type Reader struct {
	Conf   *supervisordconf.Configuration
	Daemon daemons.Daemon
	// ReadFlags reads the flags of a bridge as a process with these variables would. The
	// variables are set in this process while it runs.
	ReadFlags func(args []string) (Flags, error)
}

// Find returns the sections that run a bridge.
func (r Reader) Find() (found []*Bridge) {
	for _, s := range r.Conf.Sections {
		pool, ok := strings.CutPrefix(s.Name, "eventlistener:")
		if !ok || !strings.Contains(s.Options["command"], Program) {
			continue
		}

		b := &Bridge{Section: s, Pool: strings.TrimSpace(pool)}
		events, _ := s.ProcessValue("events", "")
		for name := range strings.SplitSeq(events, ",") {
			if name = strings.ToUpper(strings.TrimSpace(name)); name != "" {
				b.Events = append(b.Events, name)
			}
		}
		b.Account, b.AccountErr = r.AccountFor(s)
		r.readEnviron(b)
		r.readCommand(b)
		found = append(found, b)
	}
	return found
}

// AccountFor is who runs the processes of a section.
func (r Reader) AccountFor(s *supervisordconf.Section) (access.Account, error) {
	if name, err := s.ProcessValue("user", ""); err == nil && name != "" {
		return access.Find(name)
	}
	name, err := r.Conf.Section("supervisord").Value("user", "")
	if err == nil && name != "" && r.Daemon.PID == 0 {
		return access.Find(name)
	}
	return access.Of(r.Daemon.UID), nil
}

// readEnviron puts together what a section's process has (process.py _spawn_as_child).
func (r Reader) readEnviron(b *Bridge) {
	b.Environ = maps.Clone(r.Daemon.Environ)
	if global, err := r.Conf.Section("supervisord").Environment(); err == nil {
		maps.Copy(b.Environ, global)
	}
	own, err := b.Environment()
	b.EnvironErr = err
	maps.Copy(b.Environ, own)
}

// readCommand reads the words of a section's command, and the flags in it.
func (r Reader) readCommand(b *Bridge) {
	if b.Words, b.FlagsErr = b.Command(); b.FlagsErr != nil {
		return
	}

	i := slices.IndexFunc(b.Words, func(w string) bool {
		return strings.HasPrefix(filepath.Base(w), Program) && !strings.ContainsAny(w, " \t")
	})
	if i < 0 {
		i = len(b.Words) - 1 // inside of a shell's command
	}
	b.Flags, b.FlagsErr = r.FlagsIn(b.Environ, b.Words[i+1:])
}

// FlagsIn reads the flags of a bridge in an environment.
func (r Reader) FlagsIn(environ map[string]string, args []string) (flags Flags, err error) {
	WithEnviron(environ, func() { flags, err = r.ReadFlags(args) })
	return flags, err
}

// WithEnviron calls f while this process has the SUPERNATS_ variables of another, and its
// directories of settings.
func WithEnviron(environ map[string]string, f func()) {
	before := map[string]string{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		before[name] = value
	}
	isOurs := func(name string) bool {
		return strings.HasPrefix(name, "SUPERNATS_") || name == "HOME" || name == "XDG_CONFIG_HOME"
	}
	set := func(from, to map[string]string) {
		for name := range from {
			if _, stays := to[name]; isOurs(name) && !stays {
				_ = os.Unsetenv(name)
			}
		}
		for name, value := range to {
			if isOurs(name) {
				_ = os.Setenv(name, value)
			}
		}
	}

	set(before, environ)
	defer set(environ, before)
	f()
}
