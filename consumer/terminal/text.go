package terminal

import (
	"regexp"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// Clean replaces what would steer a terminal.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if steersTerminal(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// CleanLines is Clean for a text of several lines.
func CleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// textWidth returns how many columns of a terminal s takes: two for a Chinese letter or an
// emoji, none for a combining mark.
func textWidth(s string) int { return displaywidth.String(s) }

// Clip cuts a text that is wider than so many columns; 0 is no limit.
func Clip(s string, width int) string {
	if width <= 0 || textWidth(s) <= width {
		return s
	}
	return displaywidth.TruncateString(s, width, "…")
}

// Pad appends spaces to s until it takes so many columns.
func Pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-textWidth(s)))
}

// Hanging formats a paragraph that starts at column indent of a screen: its further lines
// begin under its first one, if there is room for that. The text ends in a newline.
func Hanging(s string, indent, width int) string {
	lines := []string{Clean(s)}
	if room := width - indent; room >= usualWidth/4 {
		lines = wrap(cellText(s), room)
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", indent)) + "\n"
}

const noBreak = "\u00a0"

// together matches words between which no line is broken: a date and its time, a number
// and what it is of, a command.
var together = regexp.MustCompile("\\b\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d|" +
	"\\bpid \\d+|\\b(?:exit|code) \\d+|\\d+[dhms] ago\\b|\\bout of memory\\b|`[^`]+`")

// cellText makes a cell of text from another machine. Whether a character is drawn as an
// emoji is left to the terminal (variation selectors are removed), since terminals do not
// agree on how wide it is then.
func cellText(s string) string {
	s = Clean(strings.NewReplacer("\ufe0e", "", "\ufe0f", "").Replace(s))

	return together.ReplaceAllStringFunc(s, func(words string) string {
		return strings.ReplaceAll(words, " ", noBreak)
	})
}

// wrap breaks a text into lines of at most so many columns: between words, and within a
// word only if it is longer than a line.
func wrap(s string, width int) []string {
	if textWidth(s) <= width || width <= 0 {
		return []string{strings.ReplaceAll(s, noBreak, " ")}
	}

	var lines []string
	line := ""
	for word := range strings.SplitSeq(s, " ") {
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

// breakWord cuts a word that is longer than a line: after a character that separates parts
// of a name, if one stands in the second half of the line.
func breakWord(word string, width int) (head, rest string) {
	head = displaywidth.TruncateString(word, width, "")
	if head == "" {
		head = firstGrapheme(word) // it is wider than the line
	}

	if i := strings.LastIndexAny(head, noBreak+":/_-.,"); i > len(head)/2 {
		head = head[:i+len(firstGrapheme(head[i:]))]
	}
	return head, word[len(head):]
}

// firstGrapheme returns the first character of s as people see it: a letter with its
// marks.
func firstGrapheme(s string) string {
	graphemes := displaywidth.StringGraphemes(s)
	graphemes.Next()
	return graphemes.Value()
}
