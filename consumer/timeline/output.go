package timeline

import (
	"supernats/consumer/wording"
	"supernats/schema"
)

const (
	maxLogLines = 40
	maxLogLine  = 300
)

// Output is what a process wrote last, before one of its ends.
type Output struct {
	// Who is the process: "web1 api:api_00".
	Who string
	// Channel is stdout or stderr.
	Channel string
	Time    schema.Time
	// Lines are safe to show, and bounded.
	Lines []string
}

// LastOutput returns what the processes wrote last, the same text once.
func (t *Timeline) LastOutput() (list []Output) {
	seen := map[string]bool{}
	for i := range t.Facts {
		f := &t.Facts[i]
		if f.Log == nil {
			continue
		}
		for _, c := range []struct{ channel, text string }{{"stdout", f.Log.Stdout}, {"stderr", f.Log.Stderr}} {
			if wording.IsBlankLog(c.text) || seen[c.text] {
				continue
			}
			seen[c.text] = true
			lines := wording.Lines(c.text, maxLogLines, maxLogLine)
			list = append(list, Output{Who: f.Who(), Channel: c.channel, Time: f.Time, Lines: lines})
		}
	}
	return list
}
