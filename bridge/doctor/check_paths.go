package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"supernats/bridge/access"
	"supernats/bridge/supervisordconf"
	"supernats/schema/checkup"
)

// checkDirectories finds logs in directories that are not there (datatypes.py
// existing_dirpath), or into which supervisord may not write.
func checkDirectories(h *host, s *supervisordconf.Section) {
	for _, option := range []string{"stdout_logfile", "stderr_logfile"} {
		path, err := s.ProcessValue(option, "")
		isFile := err == nil && filepath.IsAbs(path) && supervisordconf.TargetOf(path) == supervisordconf.LogFile
		if !isFile || option == "stdout_logfile" && h.isBridge(s) {
			continue // that of a bridge should not be there at all
		}
		dir := filepath.Dir(path)
		if info, err := os.Stat(h.looksAt(dir)); os.IsNotExist(err) || err == nil && !info.IsDir() {
			h.report.fail(s, option, "mkdir -p "+checkup.Quote(dir)+" && "+h.fix.apply(s),
				"the directory of %s=%s does not exist: %s", option, path, refusal)
			continue
		}
		checkLogAccess(h, s, option, path)
	}
}

// checkLogAccess tries whether supervisord, which opens the logs of all programs, may write
// to one: if not, it cannot start the program (process.py _spawn_as_parent, make_dispatchers).
func checkLogAccess(h *host, s *supervisordconf.Section, option, path string) {
	who := access.Of(h.daemon.UID)
	d := who.DeniedKeep(h.looksAt(filepath.Dir(path)))
	if info, err := os.Stat(path); err == nil && d == nil {
		use := access.Write
		if d = who.Denied(path, use); info.IsDir() {
			d = &access.Denial{Path: path, Why: "it is a directory"}
		}
	}
	if d == nil {
		return
	}

	fix := d.Fix
	if d.ByMode {
		fix = "chown " + checkup.Quote(who.Name) + " " + checkup.Quote(d.Path)
	}
	if fix == "" {
		fix = "name another file at " + placeOf(s, option)
	}
	_, name, _ := strings.Cut(s.Name, ":")
	h.report.fail(s, option, fix+" && "+h.fix.ctl("start "+checkup.Quote(name+":*")),
		"supervisord (%s) may not write to %s=%s: %s: %s: it cannot start the program",
		who.Name, option, path, d.Path, d.Why)
}

func placeOf(s *supervisordconf.Section, option string) string {
	at, _ := s.Place(option)
	return at.String()
}

// checkInclude finds patterns of [include] that match no file. That a directory is empty is
// nothing: programs may come.
func checkInclude(h *host) {
	include := h.conf.Section("include")
	if include == nil {
		return
	}
	patterns, err := include.Value("files", "")
	if err != nil {
		return
	}

	for pattern := range strings.FieldsSeq(patterns) {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(h.Conf), pattern)
		}
		h.looksAt(filepath.Dir(pattern))
		if files, err := filepath.Glob(pattern); err != nil || len(files) > 0 {
			continue
		}
		checkPattern(h, include, pattern)
	}
}

// checkPattern reports a pattern that matches nothing.
func checkPattern(h *host, include *supervisordconf.Section, pattern string) {
	dir := filepath.Dir(pattern)
	entries, err := os.ReadDir(dir)
	switch {
	case strings.ContainsAny(dir, "*?["):
	case os.IsNotExist(err):
		h.report.warn(include, "files",
			"mkdir -p "+checkup.Quote(dir)+", or correct files= at "+placeOf(include, "files"),
			"files= names %s, and there is no directory %s: nothing is included", pattern, dir)
	case len(entries) > 0:
		h.report.warn(include, "files", fmt.Sprintf("correct files= at %s or rename the files, then run: %s",
			placeOf(include, "files"), h.fix.apply(nil)),
			"no file matches %s, and %s is not empty (%s): nothing of it is read", pattern, dir, firstEntry(entries))
	}
}

// firstEntry names an entry of a directory.
func firstEntry(entries []fs.DirEntry) string {
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			return e.Name()
		}
	}
	return entries[0].Name()
}

// checkWorkingDirectory checks directory= of a program, as that of a bridge is checked: a
// child that cannot enter it exits with 127 (process.py _spawn_as_child).
func checkWorkingDirectory(h *host, s *supervisordconf.Section) {
	dir, err := s.ProcessValue("directory", "")
	if err != nil || dir == "" {
		return
	}
	why := "it ends before it begins"
	if h.isBridge(s) {
		why = "the bridge ends before it begins"
	}

	info, err := os.Stat(h.looksAt(dir))
	if os.IsNotExist(err) || err == nil && !info.IsDir() {
		h.report.fail(s, "directory", h.fix.remove(s, "directory"), "directory=%s does not exist: %s", dir, why)
		return
	}
	who, err := h.sections.AccountFor(s)
	if err != nil {
		return
	}
	if d := who.Denied(dir, access.Enter); d != nil {
		h.report.fail(s, "directory", h.fix.remove(s, "directory"), "%s may not enter directory=%s: %s: %s: %s",
			who.Name, dir, d.Path, d.Why, why)
	}
}
