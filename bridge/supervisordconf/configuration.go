// Package supervisordconf reads supervisord's configuration as supervisord itself does,
// and the command line of a running one, to find where it and its programs log and what
// a section says. It reads files and /proc once per call and keeps nothing. Its bounds:
// 4,096 files of at most 8 MiB each, and 4,096 processes of one section.
package supervisordconf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

	here    string
	environ map[string]string
}

const (
	// maxFile (bytes) and maxFiles bound what is read of a configuration.
	maxFile  = 8 << 20
	maxFiles = 4096
)

// Read reads a configuration file. What it says with %(ENV_x)s is
// taken from our own environment: a listener inherits that of its supervisord.
func Read(path string) (*Configuration, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return readConfiguration(abs, filepath.Dir(abs), os.Environ())
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

// expand is Python's s % expansions, for strings and numbers.
func expand(s string, own, environ map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "%")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if after, ok := strings.CutPrefix(rest, "%"); ok {
			b.WriteByte('%')
			s = after
			continue
		}
		name, after, ok := strings.Cut(strings.TrimPrefix(rest, "("), ")")
		if !ok || rest[0] != '(' || after == "" {
			return "", fmt.Errorf("invalid expansion in %q: want %%(name)s, or %%%% for a percent sign", s)
		}
		value, ok := own[name]
		if variable, isEnv := strings.CutPrefix(name, "ENV_"); !ok && isEnv {
			value, ok = environ[variable]
		}
		if !ok {
			return "", fmt.Errorf("unknown name %q in %q", name, s)
		}
		width := strings.IndexFunc(after, func(c rune) bool { return c < '0' || c > '9' })
		if width < 0 {
			return "", fmt.Errorf("invalid expansion in %q: want %%(name)s", s)
		}
		switch n, err := strconv.Atoi(value); {
		case after[width] == 's':
			b.WriteString(value)
		case after[width] == 'd' && err == nil:
			pad, _ := strconv.Atoi(after[:width])
			fmt.Fprintf(&b, "%0*d", min(pad, 64), n)
		default:
			return "", fmt.Errorf("invalid expansion in %q: want %%(name)s", s)
		}
		s = after[width+1:]
	}
}

// parser reads files into one set of sections, as Python's RawConfigParser does
// with the settings of UnhosedConfigParser.
type parser struct {
	config   *Configuration
	sections map[string]*Section
	defaults map[string]string // of [DEFAULT], for all sections
	files    int
}

// include reads the files of [include], in the order of their names.
func (p *parser) include(include *Section, here string) error {
	patterns, err := include.Value("files", "")
	if err != nil {
		return err
	}
	for pattern := range strings.FieldsSeq(patterns) {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(here, pattern)
		}
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("read configuration %s: [include] files=%s: %w", include.File, pattern, err)
		}
		slices.Sort(paths)
		for _, path := range paths {
			if base := filepath.Base(path); strings.HasPrefix(base, ".") && !strings.HasPrefix(filepath.Base(pattern), ".") {
				continue // Python's glob leaves out hidden files
			}
			if err := p.file(path, filepath.Dir(path)); err != nil {
				return err
			}
			p.expandHere(filepath.Dir(path))
		}
	}
	return nil
}

// expandHere replaces %(here)s in all that was read and still has it
// (UnhosedConfigParser.expand_here).
func (p *parser) expandHere(here string) {
	for _, s := range p.config.Sections {
		for name, value := range s.Options {
			s.Options[name] = strings.ReplaceAll(value, "%(here)s", here)
		}
	}
}

// section returns the section of a name, a new one if need be; nil for [DEFAULT].
func (p *parser) section(name, path, here string) *Section {
	if name == "DEFAULT" {
		return nil
	}
	s := p.sections[name]
	if s == nil {
		s = &Section{Name: name, File: path, Options: map[string]string{}, here: here, environ: p.config.environ}
		p.sections[name] = s
		p.config.Sections = append(p.config.Sections, s)
	}
	return s
}

var errSize = errors.New("it is too large to be a configuration of supervisord")

// file reads one file (configparser.py RawConfigParser._read).
func (p *parser) file(path, here string) error {
	if p.files++; p.files > maxFiles {
		return fmt.Errorf("read configuration %s: more than %d files are included", p.config.File, maxFiles)
	}
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return p.lines(f, path, here)
}

// openFile opens a regular file for reading, and nothing else: a pipe would have to be
// waited for.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}

	st, err := f.Stat()
	switch {
	case err == nil && !st.Mode().IsRegular():
		err = fmt.Errorf("read configuration: open %s: not a regular file", path)
	case err == nil && st.Size() > maxFile:
		err = fmt.Errorf("read configuration %s: %w", path, errSize)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lines reads the lines of one file.
func (p *parser) lines(f io.Reader, path, here string) error {
	var (
		options map[string]string // of the section that is read
		option  string            // the last one, for lines that continue it
		indent  int
	)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxFile)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		value, commented := uncomment(line)
		if value == "" {
			if !commented && options != nil && option != "" {
				options[option] += "\n"
			}
			continue
		}

		depth := len(line) - len(strings.TrimLeft(line, space))
		if options != nil && option != "" && depth > indent {
			options[option] += "\n" + value
			continue
		}

		indent = depth
		if value[0] == '[' {
			if end := strings.LastIndexByte(value, ']'); end > 1 {
				option = ""
				if s := p.section(value[1:end], path, here); s != nil {
					options = s.Options
				} else {
					options = p.defaults
				}
				continue
			}
		}
		sign := strings.IndexAny(value, "=:")
		if options == nil || sign <= 0 {
			return fmt.Errorf("read configuration %s:%d: invalid line %q: want [section] or option=value", path, n, value)
		}
		option = strings.ToLower(strings.TrimRight(value[:sign], space))
		options[option] = strings.Trim(value[sign+1:], space)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read configuration %s: %w", path, err)
	}
	trimOptions(p)
	return nil
}

// trimOptions takes empty lines off the ends of values, as joining them does in
// Python.
func trimOptions(p *parser) {
	for _, s := range p.config.Sections {
		for name, value := range s.Options {
			s.Options[name] = strings.TrimRight(value, space)
		}
	}
}

// space is what Python's str.strip takes off, of ASCII.
const space = " \t\r\n\v\f"

// uncomment returns a line without its comment and the space around it. A comment
// begins with ; or # at the beginning of a line or after a space, also between
// quotes.
func uncomment(line string) (value string, commented bool) {
	for i := 0; i < len(line); i++ {
		if (line[i] == ';' || line[i] == '#') && (i == 0 || strings.IndexByte(space, line[i-1]) >= 0) {
			return strings.Trim(line[:i], space), true
		}
	}
	return strings.Trim(line, space), false
}
