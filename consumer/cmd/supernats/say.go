package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// say writes sentences for people to stderr. On a terminal they are broken between words;
// elsewhere a line stays one.
func say(format string, args ...any) {
	width := 0
	if term.IsTerminal(int(os.Stderr.Fd())) {
		width = screenWidth(os.Stderr)
	}
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		_, _ = os.Stderr.WriteString(hanging(line, 0, width))
	}
}
