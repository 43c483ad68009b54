package doctor

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"supernats/bridge/supervisordconf"
	"supernats/schema"
)

// bridgeSection is a section that runs a bridge.
type bridgeSection struct {
	*supervisordconf.Section
	pool   string
	words  []string // of command=
	events []string // of events=, in upper case
	// account is who runs it; accountErr says that there is no such user.
	account    account
	accountErr error
	// environ is what its process has; environErr says that environment= is wrong.
	environ    map[string]string
	environErr error
	// flags are those of its command; flagsErr says what is wrong with them.
	flags    Flags
	flagsErr error
}

// programName begins the name of the bridge's program.
const programName = "supernats-bridge"

// findBridges returns the sections that run a bridge.
func (h *host) findBridges() (found []*bridgeSection) {
	for _, s := range h.conf.Sections {
		pool, ok := strings.CutPrefix(s.Name, "eventlistener:")
		if !ok || !strings.Contains(s.Options["command"], programName) {
			continue
		}

		b := &bridgeSection{Section: s, pool: strings.TrimSpace(pool)}
		events, _ := s.ProcessValue("events", "")
		for name := range strings.SplitSeq(events, ",") {
			if name = strings.ToUpper(strings.TrimSpace(name)); name != "" {
				b.events = append(b.events, name)
			}
		}
		b.account, b.accountErr = h.accountFor(s)
		h.readEnviron(b)
		h.readFlags(b)
		found = append(found, b)
	}
	return found
}

// isBridge reports whether a section runs a bridge.
func (h *host) isBridge(s *supervisordconf.Section) bool {
	return slices.ContainsFunc(h.bridges, func(b *bridgeSection) bool { return b.Section == s })
}

// accountFor is who runs the processes of a section.
func (h *host) accountFor(s *supervisordconf.Section) (account, error) {
	if name, err := s.ProcessValue("user", ""); err == nil && name != "" {
		return findAccount(name)
	}
	if name, err := h.conf.Section("supervisord").Value("user", ""); err == nil && name != "" && h.daemon.pid == 0 {
		return findAccount(name)
	}
	return accountOf(h.daemon.uid), nil
}

// readEnviron puts together what a section's process has (process.py _spawn_as_child).
func (h *host) readEnviron(b *bridgeSection) {
	b.environ = maps.Clone(h.daemon.environ)
	if global, err := h.conf.Section("supervisord").Environment(); err == nil {
		maps.Copy(b.environ, global)
	}
	own, err := b.Environment()
	b.environErr = err
	maps.Copy(b.environ, own)
}

// readFlags reads the flags in a section's command.
func (h *host) readFlags(b *bridgeSection) {
	command, err := b.ProcessValue("command", "")
	if err != nil {
		b.flagsErr = err
		return
	}
	b.words, b.flagsErr = splitCommand(command)
	if b.flagsErr != nil {
		return
	}

	i := slices.IndexFunc(b.words, func(w string) bool {
		return strings.HasPrefix(filepath.Base(w), programName) && !strings.ContainsAny(w, " \t")
	})
	if i < 0 {
		i = len(b.words) - 1 // inside of a shell's command
	}
	withEnviron(b.environ, func() { b.flags, b.flagsErr = h.ReadFlags(b.words[i+1:]) })
}

// withEnviron calls f while this process has the SUPERNATS_ variables of another, and its
// directories of settings.
func withEnviron(environ map[string]string, f func()) {
	before := variables(os.Environ())
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

// listensTo reports whether a section gets an event.
func (b *bridgeSection) listensTo(name string) bool {
	return slices.ContainsFunc(b.events, func(e string) bool { return schema.Is(name, e) })
}

// isForOutput reports whether a section is for the output of programs alone.
func (b *bridgeSection) isForOutput() bool {
	return !b.listensTo(schema.ProcessStateExited) &&
		(b.listensTo(schema.ProcessLogStdout) || b.listensTo(schema.ProcessLogStderr))
}
