package doctor

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// checkCommands checks that supervisord can start each bridge, and that the bridge accepts
// its flags and may read their files.
func checkCommands(_ context.Context, h *host) {
	for _, b := range h.bridges {
		h.checkProgram(b)
		h.checkDirectory(b)
		if b.flagsErr != nil {
			h.report.fail(b.Section, "command", "correct command=, then run: "+h.fix.apply(b.Section)+
				"; supernats-bridge --help lists the flags",
				"the bridge refuses its flags and does not start: %v", b.flagsErr)
			continue
		}
		for _, flag := range slices.Sorted(maps.Keys(b.flags.Files)) {
			h.checkFile(b, flag, b.flags.Files[flag])
		}
	}
}

// checkProgram checks the first word of a command, and the bridge's own word.
func (h *host) checkProgram(b *bridgeSection) {
	if len(b.words) == 0 {
		return
	}
	words := b.words[:1]
	for _, w := range b.words[1:] {
		if filepath.IsAbs(w) && strings.HasPrefix(filepath.Base(w), programName) {
			words = append(words, w) // after env, runuser and the like
		}
	}

	for _, word := range words {
		path := h.lookPath(b, word)
		info, err := os.Stat(path)
		switch {
		case path == "" || errors.Is(err, fs.ErrNotExist):
			self, _ := os.Executable()
			command := strings.Replace(b.Options["command"], word, self, 1)
			h.report.fail(b.Section, "command", h.fix.set(b.Section, "command", strings.ReplaceAll(command, "\n", " ")),
				"there is no program %s: supervisord cannot start the bridge", word)
		case err != nil:
		case info.IsDir(), info.Mode()&0o111 == 0:
			h.report.fail(b.Section, "command", "chmod 0755 "+quote(path)+" && "+h.fix.startBridge(b.pool),
				"%s is not executable: supervisord cannot start the bridge", path)
		default:
			if at := b.account.denied(path, toEnter); b.accountErr == nil && at != "" {
				h.report.fail(b.Section, "command", "chmod o+x "+quote(at)+" && "+h.fix.startBridge(b.pool),
					"%s may not run %s, because of %s: supervisord cannot start the bridge", b.account.name, path, at)
			}
		}
	}
}

// lookPath finds a program as supervisord does: in the PATH of its own environment.
func (h *host) lookPath(b *bridgeSection, word string) string {
	if filepath.IsAbs(word) {
		return word
	}
	if strings.Contains(word, "/") {
		directory, _ := b.ProcessValue("directory", "/")
		return filepath.Join(directory, word)
	}
	for dir := range strings.SplitSeq(h.daemon.environ["PATH"], ":") {
		path := filepath.Join(dir, word)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	return ""
}

// checkDirectory checks directory= of a section: a child that cannot enter it exits with
// 127 (process.py _spawn_as_child).
func (h *host) checkDirectory(b *bridgeSection) {
	dir, err := b.ProcessValue("directory", "")
	if err != nil || dir == "" {
		return
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
		h.report.fail(b.Section, "directory", h.fix.remove(b.Section, "directory"),
			"directory=%s does not exist: the bridge ends before it begins", dir)
	case b.accountErr == nil:
		if at := b.account.denied(filepath.Join(dir, "."), toEnter); at != "" {
			h.report.fail(b.Section, "directory", h.fix.remove(b.Section, "directory"),
				"%s may not enter directory=%s: the bridge ends before it begins", b.account.name, dir)
		}
	}
}

// checkFile checks that a bridge may read a file that a flag names.
func (h *host) checkFile(b *bridgeSection, flag, path string) {
	if !filepath.IsAbs(path) {
		directory, err := b.ProcessValue("directory", "/")
		if err != nil {
			return
		}
		path = filepath.Join(directory, path)
	}
	why := "the bridge cannot connect to NATS, and events wait in its spool"
	if flag == "web-config" {
		why = "the bridge does not start"
	}

	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		h.report.fail(b.Section, "command",
			"put the file there, or correct --"+flag+" and run: "+h.fix.apply(b.Section),
			"--%s %s: there is no such file: %s", flag, path, why)
		return
	}
	if b.accountErr != nil || err != nil {
		return
	}

	again := " && " + h.fix.startBridge(b.pool)
	switch at := b.account.denied(path, toRead); at {
	case "":
	case path:
		h.report.fail(b.Section, "command", "chown "+quote(b.account.name)+" "+quote(path)+again,
			"--%s %s: %s may not read it: %s", flag, path, b.account.name, why)
	default:
		h.report.fail(b.Section, "command", "chmod o+x "+quote(at)+again,
			"--%s %s: %s may not enter %s: %s", flag, path, b.account.name, at, why)
	}
}

// mentionsBridge reports whether a file holds a section of the bridge.
func mentionsBridge(file string) bool {
	const enough = 1 << 20
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > enough {
		return false
	}
	text, err := os.ReadFile(file)
	hasListener := err == nil && strings.Contains(string(text), "[eventlistener:")
	return hasListener && strings.Contains(string(text), programName)
}
