package doctor

import (
	"fmt"
	"slices"
	"strings"

	"supernats/bridge/access"
	"supernats/bridge/supervisordconf"
	"supernats/schema/checkup"
)

// fixer says how to change a configuration, for people and in commands.
type fixer struct {
	conf string // supervisord's configuration file
	pid  int    // supervisord's, 0 if it does not run
}

// set returns how to give an option of a section another value.
func (f fixer) set(s *supervisordconf.Section, option, value string) string {
	return f.setOnly(s, option, value) + ", then run: " + f.apply(s)
}

func (f fixer) setOnly(s *supervisordconf.Section, option, value string) string {
	line := option + "=" + value
	if at, written := s.Place(option); written {
		if n := strings.Count(s.Options[option], "\n"); n > 0 {
			return fmt.Sprintf("write %s at %v in place of %d lines", line, at, n+1)
		}
		return fmt.Sprintf("write %s at %v", line, at)
	}
	return f.append(s, line)
}

// append returns how to add lines to a section.
func (f fixer) append(s *supervisordconf.Section, lines ...string) string {
	return fmt.Sprintf("add %s to [%s] after %v", strings.Join(lines, " and "), s.Name, s.Places[len(s.Places)-1])
}

// remove returns how to take an option away.
func (f fixer) remove(s *supervisordconf.Section, option string) string {
	at, _ := s.Place(option)
	return fmt.Sprintf("remove %s= at %v, then run: %s", option, at, f.apply(s))
}

// apply is the command after which supervisord has read a section again. Its own sections
// it reads again only when it is reloaded.
func (f fixer) apply(s *supervisordconf.Section) string {
	if f.pid == 0 {
		return f.startCommand()
	}
	if s == nil || strings.Contains(s.Name, ":") && !strings.HasPrefix(s.Name, "rpcinterface:") {
		return f.ctl("update")
	}
	return f.ctl("reload") + " (it restarts all programs)"
}

// ctl returns a command of supervisorctl.
func (f fixer) ctl(words string) string {
	if f.conf == "" || slices.Contains(usualConfs, f.conf) {
		return "supervisorctl " + words
	}
	return "supervisorctl -c " + checkup.Quote(f.conf) + " " + words
}

func (f fixer) startCommand() string {
	if f.conf == "/etc/supervisor/supervisord.conf" {
		return "systemctl start supervisor"
	}
	return "supervisord -c " + checkup.Quote(f.conf)
}

// open is the command after which a user may use what was denied, and the bridge of a
// section uses it; byMode is that for a mode that is too narrow.
func (f fixer) open(d *access.Denial, byMode, pool string) string {
	fix := d.Fix
	if d.ByMode {
		fix = byMode
	}
	if fix == "" {
		return "journalctl -k -g 'avc|apparmor' shows what denies it; allow it, then run: " + f.startBridge(pool)
	}
	return fix + " && " + f.startBridge(pool)
}

// startBridge starts a section's bridge again.
func (f fixer) startBridge(pool string) string {
	if f.pid == 0 {
		return f.startCommand()
	}
	return f.ctl("restart " + checkup.Quote(pool+":*"))
}
