package summary

import (
	"regexp"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// briefly shortens how often something happened: "crashed 22x in 15m, runs 40s each".
var briefly = strings.NewReplacer(
	" times", "x", " seconds", "s", " second", "s", " minutes", "m", " minute", "m", " hours", "h", " hour", "h",
	" days", "d", " day", "d", " s each", "s each", " m each", "m each", " h each", "h each",
)

// crashed says the same with fewer letters.
var crashed = strings.NewReplacer(
	"exit code ", "exit ", " (and ", " (", ": open for ", " after ", "exited unexpectedly", "crashed",
)

// memoryAmount is what schema.OOM says of amounts.
var memoryAmount = regexp.MustCompile(
	`(out of memory) at (?:a limit of )?[0-9.]+(?: (?:[KMGTPE]i)?B)?(?: of [0-9.]+ (?:[KMGTPE]i)?B)?`)

// terse is crashed, and leaves out at how much memory ran out.
func terse(s string) string { return memoryAmount.ReplaceAllString(crashed.Replace(s), "$1") }

// tersest is terse, and leaves out the signal by which the kernel ends what it has no
// memory for.
func tersest(s string) string {
	return strings.Replace(terse(s), "crashed (SIGKILL, out of memory)", "ran out of memory", 1)
}

// cutMark stands for what is cut off. It is ASCII, so that a subject need not be encoded
// for its sake and can be found with grep.
const cutMark = "..."

// cutEnd makes a text fit into so many columns. It cuts between words where that costs
// little: half a number would be another one.
func cutEnd(s string, width int) string {
	cut := displaywidth.TruncateString(s, max(width, len(cutMark)), cutMark)
	head, ok := strings.CutSuffix(cut, cutMark)
	if !ok || cut == s {
		return cut
	}
	if i := strings.LastIndexByte(head, ' '); i > len(head)/2 && s[len(head)] != ' ' {
		head = head[:i]
	}
	return strings.TrimRight(head, " ,;:(") + cutMark
}

// cutMiddle makes a name fit: its end says as much as its beginning.
func cutMiddle(s string, width int) string {
	if displaywidth.String(s) <= width {
		return s
	}

	head := displaywidth.TruncateString(s, max(width/2, 1), "")
	rest := s[len(head):]
	for rest != "" && displaywidth.String(head)+len(cutMark)+displaywidth.String(rest) > width {
		signs := displaywidth.StringGraphemes(rest)
		signs.Next()
		rest = rest[len(signs.Value()):]
	}
	return head + cutMark + rest
}
