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

	"supernats/bridge/access"
	"supernats/bridge/listeners"
	"supernats/schema/checkup"
)

// checkCommands checks that supervisord can start each bridge, and that the bridge accepts
// its flags and may read their files.
func checkCommands(_ context.Context, h *host) {
	for _, b := range h.bridges {
		checkTries(h, b)
		checkProgram(h, b)
		checkWorkingDirectory(h, b.Section)
		if b.FlagsErr != nil {
			h.report.fail(b.Section, "command", "correct command=, then run: "+h.fix.apply(b.Section)+
				"; supernats-bridge --help lists the flags",
				"the bridge refuses its flags and does not start: %v", b.FlagsErr)
			continue
		}
		for _, flag := range slices.Sorted(maps.Keys(b.Flags.Files)) {
			checkFile(h, b, flag, b.Flags.Files[flag])
		}
	}
}

// checkProgram checks the first word of a command, and the bridge's own word.
func checkProgram(h *host, b *listeners.Bridge) {
	if len(b.Words) == 0 {
		return
	}
	words := b.Words[:1]
	for _, w := range b.Words[1:] {
		if filepath.IsAbs(w) && strings.HasPrefix(filepath.Base(w), listeners.Program) {
			words = append(words, w) // after env, runuser and the like
		}
	}

	for _, word := range words {
		path := h.lookPath(b, word)
		info, err := os.Stat(h.looksAt(path))
		switch {
		case path == "" || errors.Is(err, fs.ErrNotExist):
			self, _ := os.Executable()
			command := strings.Replace(b.Options["command"], word, self, 1)
			h.report.fail(b.Section, "command", h.fix.set(b.Section, "command", strings.ReplaceAll(command, "\n", " ")),
				"there is no program %s: supervisord cannot start the bridge", word)
		case err != nil:
		case info.IsDir(), info.Mode()&0o111 == 0:
			h.report.fail(b.Section, "command", "chmod 0755 "+checkup.Quote(path)+" && "+h.fix.startBridge(b.Pool),
				"%s is not executable: supervisord cannot start the bridge", path)
		default:
			if d := h.denied(b, path, access.Run); d != nil {
				h.report.fail(b.Section, "command", h.fix.open(d, "chmod o+x "+checkup.Quote(d.Path), b.Pool),
					"%s may not run %s: %s: %s: supervisord cannot start the bridge",
					b.Account.Name, path, d.Path, d.Why)
			}
		}
	}
}

// lookPath finds a program as supervisord does: in the PATH of its own environment.
func (h *host) lookPath(b *listeners.Bridge, word string) string {
	if filepath.IsAbs(word) {
		return word
	}
	if strings.Contains(word, "/") {
		directory, _ := b.ProcessValue("directory", "/")
		return filepath.Join(directory, word)
	}
	for dir := range strings.SplitSeq(h.daemon.Environ["PATH"], ":") {
		path := filepath.Join(dir, word)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	return ""
}

// checkFile checks that a bridge may read a file that a flag names.
func checkFile(h *host, b *listeners.Bridge, flag, path string) {
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

	info, err := os.Stat(h.looksAt(path))
	if err == nil && !info.Mode().IsRegular() {
		h.report.fail(b.Section, "command", "correct --"+flag+" in command=, then run: "+h.fix.apply(b.Section),
			"--%s %s: it is no file: %s", flag, path, why)
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		h.report.fail(b.Section, "command",
			"put the file there, or correct --"+flag+" and run: "+h.fix.apply(b.Section),
			"--%s %s: there is no such file: %s", flag, path, why)
		return
	}
	d := h.denied(b, path, access.Read)
	if d == nil {
		return
	}

	opens := "chmod o+x " + checkup.Quote(d.Path)
	if info, err := os.Stat(d.Path); err == nil && !info.IsDir() {
		opens = "chown " + checkup.Quote(b.Account.Name) + " " + checkup.Quote(d.Path)
	}
	h.report.fail(b.Section, "command", h.fix.open(d, opens, b.Pool),
		"--%s %s: %s may not read it: %s: %s: %s", flag, path, b.Account.Name, d.Path, d.Why, why)
}

// checkTries says of whom we cannot try what he may use.
func checkTries(h *host, b *listeners.Bridge) {
	if b.AccountErr == nil && b.Account.Try() != nil {
		h.report.warn(b.Section, "user", "run it as root: sudo supernats-bridge doctor",
			"cannot check which programs, files and directories %s may use: only root can try it", b.Account.Name)
	}
}

// denied tries what the user of a section may do; nil if he may, or that is not known.
func (h *host) denied(b *listeners.Bridge, path string, use access.Use) *access.Denial {
	if b.AccountErr != nil {
		return nil
	}
	return b.Account.Denied(h.looksAt(path), use)
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
	return hasListener && strings.Contains(string(text), listeners.Program)
}
