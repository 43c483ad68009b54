package supervisord

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// maxNumprocs limits how many processes one section may name.
const maxNumprocs = 1 << 12

// logs returns where the processes of a configuration log, as far as it says so: AUTO
// names a file that only supervisord knows.
func (c *Configuration) logs() map[procID]*procLogs {
	found := map[procID]*procLogs{}
	if c == nil {
		return found
	}
	groups := c.groups()
	for _, s := range c.Sections {
		kind, program, _ := strings.Cut(s.Name, ":")
		program = strings.TrimSpace(program)
		if kind != "program" && kind != "fcgi-program" && kind != "eventlistener" || program == "" {
			continue
		}
		group := program
		if in, ok := groups[program]; ok && kind != "eventlistener" {
			group = in
		}
		numprocs, first := s.number("numprocs", 1), s.number("numprocs_start", 0)
		for n := first; n < first+min(numprocs, maxNumprocs) && len(found) < maxProcs; n++ {
			names := s.names(map[string]string{
				"program_name": program, "group_name": group,
				"process_num": strconv.Itoa(n), "numprocs": strconv.Itoa(numprocs),
			})
			process, err := s.expandWith("process_name", "%(program_name)s", names)
			if err != nil {
				continue
			}
			logs := s.logPaths(names)
			logs.listener = kind == "eventlistener"
			found[procID{group, process}] = logs
		}
	}
	return found
}

// groups returns the group of each program that a [group:x] names.
func (c *Configuration) groups() map[string]string {
	groups := map[string]string{}
	for _, s := range c.Sections {
		group, ok := strings.CutPrefix(s.Name, "group:")
		if !ok {
			continue
		}
		programs, err := s.Value("programs", "")
		if err != nil {
			continue
		}
		for program := range strings.SplitSeq(programs, ",") {
			groups[strings.TrimSpace(program)] = strings.TrimSpace(group)
		}
	}
	return groups
}

// logPaths returns where stdout and stderr of a process go.
func (s *ConfigSection) logPaths(names map[string]string) *procLogs {
	p := &procLogs{}
	for i, option := range []string{"stdout_logfile", "stderr_logfile"} {
		value, err := s.expandWith(option, "AUTO", names)
		switch {
		case err != nil, strings.EqualFold(value, "AUTO"), value == "":
			p.unknown[i] = true
		case logOf(value) == "":
		case value[0] == '/', value[0] == '~':
			p.paths[i] = logPath(value, "/", s.environ["HOME"])
		default:
			p.unknown[i] = true // relative to a directory that supervisord may have left
		}
	}
	if redirect, _ := s.expandWith("redirect_stderr", "false", names); isTrue(redirect) {
		p.paths[1], p.unknown[1] = "", false
	}
	return p
}

// isTrue is datatypes.py boolean.
func isTrue(s string) bool {
	switch strings.ToLower(s) {
	case "yes", "true", "on", "1":
		return true
	}
	return false
}

func (s *ConfigSection) number(option string, preset int) int {
	value, err := s.Value(option, "")
	if err != nil || value == "" {
		return preset
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return preset
	}
	return n
}

// names adds what every section may use to the names of one process.
func (s *ConfigSection) names(own map[string]string) map[string]string {
	own["here"] = s.here
	own["host_node_name"], _ = os.Hostname()
	return own
}

func (s *ConfigSection) expandWith(option, preset string, names map[string]string) (string, error) {
	value, ok := s.Options[option]
	if !ok {
		value = preset
	}
	expanded, err := expand(value, names, s.environ)
	if err != nil {
		return "", fmt.Errorf("read configuration %s: option %s of [%s]: %w", s.File, option, s.Name, err)
	}
	return expanded, nil
}
