package chat

import (
	"slices"
	"strings"

	"supernats/consumer/notify/link"
)

// Links are worth less than what happened: a message has all of them, or if that is too long
// the first one of each incident, or none. A line that counts what does not fit leads to all
// alerts.

// betweenLinks separates them from what happened, and from each other.
const betweenLinks = " · "

// withLinks is a text of lines with links behind them; ok says whether it fits.
func (d dialect) withLinks(lines []string, links []link.Links) (text string, ok bool) {
	for _, most := range []int{d.most, 1} {
		linked := slices.Clone(lines)
		for i := range links {
			for _, l := range firstLinks(links[i], most) {
				linked[i] += betweenLinks + d.link(l.Name, l.URL)
			}
		}
		if text = strings.Join(linked, "\n"); d.size(text) <= d.max {
			return text, true
		}
	}
	return "", false
}

// more counts what does not fit, and leads to it.
func (d dialect) more(n int, all string) string {
	if all == "" {
		return moreLine(n)
	}
	return moreLine(n) + betweenLinks + d.link(allAlerts, all)
}

// allAlerts is the name of the link to all of them.
const allAlerts = "All alerts"

func firstLinks(l link.Links, most int) []link.Link {
	list := l.List()
	return list[:min(most, len(list))]
}
