package doctor

import (
	"fmt"
	"slices"
	"strings"

	"supernats/bridge/supervisordconf"
)

// set returns how to give an option of a section another value.
func (h *host) set(s *supervisordconf.Section, option, value string) string {
	return h.setOnly(s, option, value) + ", then run: " + h.apply(s)
}

func (h *host) setOnly(s *supervisordconf.Section, option, value string) string {
	line := option + "=" + value
	if at, written := s.Place(option); written {
		if n := strings.Count(s.Options[option], "\n"); n > 0 {
			return fmt.Sprintf("write %s at %v in place of %d lines", line, at, n+1)
		}
		return fmt.Sprintf("write %s at %v", line, at)
	}
	return h.append(s, line)
}

// append returns how to add lines to a section.
func (h *host) append(s *supervisordconf.Section, lines ...string) string {
	return fmt.Sprintf("add %s to [%s] after %v", strings.Join(lines, " and "), s.Name, s.Places[len(s.Places)-1])
}

// remove returns how to take an option away.
func (h *host) remove(s *supervisordconf.Section, option string) string {
	at, _ := s.Place(option)
	return fmt.Sprintf("remove %s= at %v, then run: %s", option, at, h.apply(s))
}

// apply is the command after which supervisord has read a section again. Its own sections
// it reads again only when it is reloaded.
func (h *host) apply(s *supervisordconf.Section) string {
	if h.daemon.pid == 0 {
		return h.startCommand()
	}
	if s == nil || strings.Contains(s.Name, ":") && !strings.HasPrefix(s.Name, "rpcinterface:") {
		return h.ctl("update")
	}
	return h.ctl("reload") + " (it restarts all programs)"
}

// ctl returns a command of supervisorctl.
func (h *host) ctl(words string) string {
	if h.Conf == "" || slices.Contains(usualConfs, h.Conf) {
		return "supervisorctl " + words
	}
	return "supervisorctl -c " + quote(h.Conf) + " " + words
}

func (h *host) startCommand() string {
	if h.Conf == "/etc/supervisor/supervisord.conf" {
		return "systemctl start supervisor"
	}
	return "supervisord -c " + quote(h.Conf)
}

// quote quotes a word for a shell where that is needed.
func quote(word string) string {
	if word != "" && strings.IndexFunc(word, func(r rune) bool {
		return !strings.ContainsRune("/._-:=@%+,", r) && !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
