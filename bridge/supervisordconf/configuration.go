// Package supervisordconf reads supervisord's configuration as supervisord itself does,
// and the command line of a running one, to find where it and its programs log and what
// a section says. It reads files and /proc once per call and keeps nothing. Its bounds:
// 4,096 files of at most 8 MiB each, and 4,096 processes of one section.
package supervisordconf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Configuration is supervisord's configuration file with the files that it
// includes, read as supervisord itself does (options.py UnhosedConfigParser,
// read_config). It is what the file says now: supervisord may have read it before
// it was edited.
type Configuration struct {
	// File is its absolute path.
	File string
	// Logfile and Loglevel are those of [supervisord], expanded; Logfile is
	// absolute, unless it is "syslog", and Loglevel a name in lower case.
	Logfile  string
	Loglevel string
	// Sections are in the order in which they stand there. Sections of one name are
	// one section.
	Sections []*Section

	environ map[string]string
}

// Section is one section of a Configuration.
type Section struct {
	// Name is what stands between the brackets, as in eventlistener:supernats.
	Name string
	// File is the one in which the section stands first.
	File string
	// Options are the values as they are written, without comments, by their names
	// in lower case. %(here)s is replaced in files that are included.
	Options map[string]string
	// Places are where its headers stand: more than one if it stands there again, which
	// adds to the options and replaces them.
	Places []Place

	here    string
	places  map[string]Place // of the options that are written in the section
	environ map[string]string
}

const (
	// maxFile (bytes) and maxFiles bound what is read of a configuration.
	maxFile  = 8 << 20
	maxFiles = 4096
)

// Read reads a configuration file. What it says with %(ENV_x)s is
// taken from our own environment: a listener inherits that of its supervisord.
func Read(path string) (*Configuration, error) { return ReadAs(path, os.Getpid()) }

// ReadAs is Read with the environment of a process, ours where that may not be read.
func ReadAs(path string, pid int) (*Configuration, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	environ := os.Environ()
	if pid != os.Getpid() {
		environ = environOf(pid)
	}
	return readConfiguration(abs, filepath.Dir(abs), environ)
}

// readConfiguration reads the file at an absolute path. Relative paths in it are
// those of the directory cwd.
func readConfiguration(path, cwd string, environ []string) (*Configuration, error) {
	c := &Configuration{File: path, environ: map[string]string{}}
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok {
			c.environ[name] = value
		}
	}

	p := parser{sections: map[string]*Section{}, defaults: map[string]string{}, config: c}
	here := filepath.Dir(path)
	if err := p.file(path, here); err != nil {
		return nil, err
	}

	if include := p.sections["include"]; include != nil {
		p.expandHere(here)
		if err := p.include(include, here); err != nil {
			return nil, err
		}
	}
	for _, s := range c.Sections {
		for name, value := range p.defaults {
			if _, ok := s.Options[name]; !ok {
				s.Options[name] = value
			}
		}
	}

	own := p.sections["supervisord"]
	if own == nil {
		return nil, fmt.Errorf("read configuration %s: it has no section [supervisord]", path)
	}
	logfile, err := own.Value("logfile", "supervisord.log")
	if err != nil {
		return nil, err
	}
	level, err := own.Value("loglevel", "info")
	if err != nil {
		return nil, err
	}
	c.Logfile, c.Loglevel = logPath(logfile, cwd, c.environ["HOME"]), strings.ToLower(level)
	return c, nil
}

// Section returns a section by its name, nil if there is none.
func (c *Configuration) Section(name string) *Section {
	i := slices.IndexFunc(c.Sections, func(s *Section) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return c.Sections[i]
}

// Place is a line of a file.
type Place struct {
	File string
	Line int
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Place returns where an option is written; if it is not, the place of the section and
// false.
func (s *Section) Place(option string) (p Place, written bool) {
	if p, written = s.places[option]; !written && len(s.Places) > 0 {
		p = s.Places[0]
	}
	return p, written
}

// Value returns an option with %(here)s, %(ENV_x)s and %(host_node_name)s expanded;
// preset if the section does not have it. Expansions that only a program has, such
// as %(process_num)d, are an error.
func (s *Section) Value(option, preset string) (string, error) {
	return s.expandWith(option, preset, s.names(map[string]string{}))
}

// logPath makes a path absolute as options.py normalize_path does.
func logPath(path, cwd, home string) string {
	if path == "syslog" {
		return path
	}
	if rest, ok := strings.CutPrefix(path, "~"); ok && home != "" && (rest == "" || rest[0] == '/') {
		path = home + rest
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(cwd, path)
	}
	return filepath.Clean(path)
}
