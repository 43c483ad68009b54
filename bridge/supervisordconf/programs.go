package supervisordconf

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	// maxNumprocs bounds how many processes one section may name.
	maxNumprocs = 1 << 12
	// maxPrograms bounds how many processes are returned of all sections.
	maxPrograms = 1 << 14
)

// ProcessValue is Value with what supervisord knows of the section's first process as well,
// such as %(program_name)s and %(process_num)d.
func (s *Section) ProcessValue(option, preset string) (string, error) {
	_, program, _ := strings.Cut(s.Name, ":")
	program = strings.TrimSpace(program)
	return s.expandWith(option, preset, s.names(map[string]string{
		"program_name": program, "group_name": program,
		"process_num": strconv.Itoa(s.number("numprocs_start", 0)),
		"numprocs":    strconv.Itoa(s.number("numprocs", 1)),
	}))
}

// ProgramLogs is where a process logs, as far as the configuration says so.
type ProgramLogs struct {
	Group, Process string
	// Listener means that it is an event listener.
	Listener bool
	// Paths are those of stdout and stderr: absolute, or "" for none.
	Paths [2]string
	// Unknown means that the configuration alone does not say: AUTO names a file that
	// only supervisord knows.
	Unknown [2]bool
}

// Programs returns the processes of all sections that have some, at most maxPrograms.
func (c *Configuration) Programs() []ProgramLogs {
	var found []ProgramLogs
	if c == nil {
		return nil
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
		for n := first; n < first+min(numprocs, maxNumprocs) && len(found) < maxPrograms; n++ {
			names := s.names(map[string]string{
				"program_name": program, "group_name": group,
				"process_num": strconv.Itoa(n), "numprocs": strconv.Itoa(numprocs),
			})
			process, err := s.expandWith("process_name", "%(program_name)s", names)
			if err != nil {
				continue
			}
			p := ProgramLogs{Group: group, Process: process, Listener: kind == "eventlistener"}
			p.Paths, p.Unknown = s.logPaths(names)
			found = append(found, p)
		}
	}
	return found
}

// Outputs returns where the output of programs goes, as the sections say it: the values
// of stdout_logfile and stderr_logfile that can be expanded without a process.
func (c *Configuration) Outputs() []string {
	var found []string
	if c == nil {
		return nil
	}
	for _, s := range c.Sections {
		for _, option := range logOptions {
			if value, err := s.Value(option, ""); err == nil && value != "" {
				found = append(found, value)
			}
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

// logOptions are those of stdout and stderr.
var logOptions = [2]string{"stdout_logfile", "stderr_logfile"}

// logPaths returns where stdout and stderr of a process go.
func (s *Section) logPaths(names map[string]string) (paths [2]string, unknown [2]bool) {
	for i, option := range logOptions {
		value, err := s.expandWith(option, "AUTO", names)
		switch target := TargetOf(value); {
		case err != nil, target == LogAuto:
			unknown[i] = true
		case target == LogNone, target == LogSyslog:
		case value[0] == '/', value[0] == '~':
			paths[i] = logPath(value, "/", s.environ["HOME"])
		default:
			unknown[i] = true // relative to a directory that supervisord may have left
		}
	}

	if redirect, _ := s.Bool("redirect_stderr", false); redirect {
		paths[1], unknown[1] = "", false
	}
	return paths, unknown
}

// number is an option that counts something; supervisord refuses others.
func (s *Section) number(option string, preset int) int {
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
func (s *Section) names(own map[string]string) map[string]string {
	own["here"] = s.here
	own["host_node_name"], _ = os.Hostname()
	return own
}

func (s *Section) expandWith(option, preset string, names map[string]string) (string, error) {
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
