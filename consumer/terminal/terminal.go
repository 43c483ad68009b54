// Package terminal prints for people: sentences, tables and events that fit the screen
// they appear on, and records as JSON for programs.
//
// What it prints comes from other machines. Nothing of that steers the terminal: control
// characters become U+FFFD in text and escapes in JSON. A table that is too wide loses
// columns and breaks names and sentences into lines; a number, a time or a state is never
// cut.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// usualWidth is that of a terminal that does not report its width.
const usualWidth = 80

// Width returns how many columns a line on f may have, 0 if there is no limit: COLUMNS
// where it is set, as watch(1) sets it for the pipe that it reads, or else what the
// terminal has.
func Width(f *os.File) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if !Is(f) {
		return 0
	}

	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return usualWidth
}

// Is reports whether f is a terminal.
func Is(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// CanDraw reports whether f is a terminal that can draw over what it shows.
func CanDraw(f *os.File) bool { return Is(f) && os.Getenv("TERM") != "dumb" }

// HasColors reports whether f is a terminal with colors whose user has not asked for plain
// text (https://no-color.org).
func HasColors(f *os.File) bool { return CanDraw(f) && os.Getenv("NO_COLOR") == "" }

// Say writes sentences for people to stderr. On a terminal they are broken between words;
// elsewhere each line stays one line.
func Say(format string, args ...any) {
	width := 0
	if Is(os.Stderr) {
		width = Width(os.Stderr)
	}

	var text strings.Builder
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		text.WriteString(line[:indent] + Hanging(line[indent:], indent, width))
	}
	_, _ = io.WriteString(AboveStatusLine, text.String())
}
