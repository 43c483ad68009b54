package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"
	"golang.org/x/term"
)

// usualWidth is that of a terminal that does not say how wide it is.
const usualWidth = 80

// screenWidth is how many columns a line on w may have, 0 if there is no limit: COLUMNS
// where it is set, as watch(1) does for the pipe it reads, or else what the terminal has.
func screenWidth(w *os.File) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if !term.IsTerminal(int(w.Fd())) {
		return 0
	}
	if width, _, err := term.GetSize(int(w.Fd())); err == nil && width > 0 {
		return width
	}
	return usualWidth
}

// textWidth is how many columns of a terminal s takes: two for a Chinese letter or an
// emoji, none for a combining mark.
func textWidth(s string) int { return displaywidth.String(s) }

// padTo fills s up with spaces.
func padTo(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-textWidth(s)))
}

const noBreak = "\u00a0"

// together are words between which no line is broken: a date and its time, a number
// and what it is of, a command.
var together = regexp.MustCompile("\\b\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d|\\bpid \\d+|\\b(?:exit|code) \\d+|\\d+[dhms] ago\\b|\\bout of memory\\b|`[^`]+`")

// cellText makes a cell of what other machines say. Whether a sign is drawn as an emoji
// is left to the terminal, since terminals do not agree on how wide it is then.
func cellText(s string) string {
	s = strings.NewReplacer("\ufe0e", "", "\ufe0f", "").Replace(clean(s))
	return together.ReplaceAllStringFunc(s, func(words string) string { return strings.ReplaceAll(words, " ", noBreak) })
}

// wrap breaks a text into lines of at most so many columns: between words, and within
// one only if it is longer than a line.
func wrap(s string, width int) []string {
	if textWidth(s) <= width || width <= 0 {
		return []string{strings.ReplaceAll(s, noBreak, " ")}
	}
	var lines []string
	line := ""
	for _, word := range strings.Split(s, " ") {
		if line != "" && textWidth(line)+1+textWidth(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for textWidth(word) > width {
			var head string
			head, word = breakWord(word, width)
			lines = append(lines, strings.TrimRight(strings.ReplaceAll(head, noBreak, " "), " "))
		}
		line = word
	}
	lines = append(lines, line)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], noBreak, " ")
	}
	return lines
}

// breakWord cuts a word that is too long: after one of the signs that part names, if
// there is one in the second half of the line.
func breakWord(word string, width int) (head, rest string) {
	head = displaywidth.TruncateString(word, width, "")
	if head == "" {
		head = firstSign(word) // is wider than the line
	}
	if i := strings.LastIndexAny(head, noBreak+":/_-.,"); i > len(head)/2 {
		head = head[:i+len(firstSign(head[i:]))]
	}
	return head, word[len(head):]
}

// firstSign is what s begins with, as people see it: a letter with its marks.
func firstSign(s string) string {
	signs := displaywidth.StringGraphemes(s)
	signs.Next()
	return signs.Value()
}

// hanging writes a text behind something that takes indent columns, and its further
// lines below its beginning, if there is room for that.
func hanging(s string, indent, width int) string {
	lines := []string{clean(s)}
	if room := width - indent; room >= usualWidth/4 {
		lines = wrap(cellText(s), room)
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", indent)) + "\n"
}
