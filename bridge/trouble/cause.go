package trouble

import (
	"strings"
	"time"
	"unicode/utf8"

	"supernats/schema"
)

// trouble is one cause that was seen. Board.mu guards it.
type trouble struct {
	cause, text, fix string
	since            time.Time

	// reported is when it was last reported, with reportedText; zero while it is gone.
	reported     time.Time
	reportedText string
	repeatSoon   bool // it is to be published again as soon as repeatLeast allows

	// cleared is since when it has not been raised; zero while it lasts. Its end is
	// reported after hold.
	cleared  time.Time
	hold     time.Duration
	ended    time.Time // when it was last reported as over
	cameBack int       // how often it came back while it was ending
}

func (x *trouble) toRecord(over bool) schema.Trouble {
	return schema.Trouble{Cause: x.cause, Text: x.text, Fix: x.fix, Since: schema.Time{Time: x.since}, Over: over}
}

// lengthenHold makes the time longer for which the trouble has to be gone.
func (x *trouble) lengthenHold() { x.hold = min(maxHold, max(minHold, 2*x.hold)) }

// clipText bounds a text, and makes it valid UTF-8: it may hold a file's name.
func clipText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
