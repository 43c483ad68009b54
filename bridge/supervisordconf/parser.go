package supervisordconf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

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
			if isHidden(path) && !isHidden(pattern) {
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

func isHidden(path string) bool { return strings.HasPrefix(filepath.Base(path), ".") }

// expandHere replaces %(here)s in all that was read and still has it
// (UnhosedConfigParser.expand_here).
func (p *parser) expandHere(here string) {
	for _, s := range p.config.Sections {
		for name, value := range s.Options {
			s.Options[name] = strings.ReplaceAll(value, "%(here)s", here)
		}
	}
}

// section returns the section of a name whose header stands at a place, a new one if need
// be; nil for [DEFAULT].
func (p *parser) section(name string, at Place, here string) *Section {
	if name == "DEFAULT" {
		return nil
	}
	s := p.sections[name]
	if s == nil {
		s = &Section{
			Name: name, File: at.File, Options: map[string]string{},
			here: here, places: map[string]Place{}, environ: p.config.environ,
		}
		p.sections[name] = s
		p.config.Sections = append(p.config.Sections, s)
	}
	s.Places = append(s.Places, at)
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
		places  map[string]Place  // of these options
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
				if s := p.section(value[1:end], Place{path, n}, here); s != nil {
					options, places = s.Options, s.places
				} else {
					options, places = p.defaults, map[string]Place{}
				}
				continue
			}
		}

		sign := strings.IndexAny(value, "=:")
		if options == nil || sign <= 0 {
			return fmt.Errorf("read configuration %s:%d: invalid line %q: want [section] or option=value",
				path, n, value)
		}
		option = strings.ToLower(strings.TrimRight(value[:sign], space))
		options[option] = strings.Trim(value[sign+1:], space)
		places[option] = Place{path, n}
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
