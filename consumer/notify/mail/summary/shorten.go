package summary

import (
	"strings"

	"github.com/clipperhouse/displaywidth"

	"supernats/consumer/wording"
)

// briefly shortens how often something happened: "crashed 22x in 15m, runs 40s each".
var briefly = strings.NewReplacer(
	" times", "x", " seconds", "s", " second", "s", " minutes", "m", " minute", "m", " hours", "h", " hour", "h",
	" days", "d", " day", "d", " s each", "s each", " m each", "m each", " h each", "h each",
)

// brevity is how few words are left for what happened. Each says it in fewer letters than the
// one before it.
type brevity int

const (
	// complete is for sentences.
	complete brevity = iota
	// plain leaves out asides.
	plain
	// terse says "crashed", "exit 3", and no amounts of memory.
	terse
	// tersest says "ran out of memory" of what crashed for that reason.
	tersest
)

// phrase is what happened, to one or to many.
func (b brevity) phrase(p wording.Phrase, many bool) string {
	switch {
	case b >= terse:
		return p.Brief(many)
	case many:
		return p.Plural()
	}
	return p.One
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
