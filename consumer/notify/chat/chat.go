// Package chat has the receivers that write lines for people to read: Slack (and
// what takes the same JSON: Mattermost, Rocket.Chat), Microsoft Teams, Discord,
// Telegram and ntfy.
//
// A batch is one message with a line for each notification: FIRING, UPDATE, RESOLVED,
// ACKNOWLEDGED or UNACKNOWLEDGED, host, process, what happened and why, how often. A message is never
// longer than the service takes: what does not fit is counted in a last line,
// "… and 12 more". Behind a line, or as buttons, are the links of its incident; see
// links.go. Names and texts of processes are shown as they are: the
// services' markup in them is escaped, and what cannot be seen is written as in
// Go ("\x1b").
//
// A status 2xx alone is no success: the services, and proxies before them, say in
// the text of such an answer too that they did not take a message, see accepted.go.
//
// Under pressure: Notify keeps nothing, makes one request and waits for its
// answer, Config.Timeout long. 1,000 notifications make a message of the
// service's limit, some 10 to 40 lines.
package chat

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"supernats/consumer/notify"
	"supernats/consumer/notify/link"
	"supernats/consumer/notify/post"
	"supernats/consumer/wording"
)

// dialect is how a service wants text.
type dialect struct {
	// strong, name and text make markup of the status, of a name and of what happened.
	strong, name, text func(string) string
	// link makes a link of a word and an address in which nothing is markup but &, most is how
	// many of them a line has.
	link func(name, address string) string
	most int
	// size is what the service counts, max how much of that a message may have.
	size func(string) int
	max  int
}

// write makes the text of a message, with the links of each notification behind it.
func (d dialect) write(batch []*notify.Notification, from notify.Identity) string {
	return d.writeWith(batch, link.OfEach(from, batch), link.Alerts(from))
}

// writeWith makes the text of a message. all is the address of all alerts.
func (d dialect) writeWith(batch []*notify.Notification, links []link.Links, all string) string {
	lines := make([]string, len(batch))
	sizes := make([]int, len(batch))
	for i, n := range batch {
		lines[i] = d.line(notify.LineOf(n))
		sizes[i] = d.size(lines[i]) + 1
	}
	if linked, ok := d.withLinks(lines, links); ok {
		return linked
	}

	more := d.more(len(lines), all)
	if n := fitting(sizes, d.size(more), d.max); n < len(lines) {
		lines = append(lines[:n:n], d.more(len(batch)-n, all))
	}
	return strings.Join(lines, "\n")
}

func (d dialect) line(l notify.Line) string {
	words := []string{d.strong(l.Status)}
	for _, name := range []string{l.Host, l.Process} {
		if name != "" {
			words = append(words, d.name(name))
		}
	}
	return strings.Join(append(words, d.text(l.Text)), " ") + l.Tail
}

// fitting is how many of the parts fit into max, if the rest is counted in one more of size
// tail.
func fitting(sizes []int, tail, max int) int {
	total, keep := 0, 0
	for i, size := range sizes {
		if total += size; total+tail <= max {
			keep = i + 1
		}
	}
	if total <= max {
		return len(sizes)
	}
	return keep
}

// moreLine counts what does not fit.
func moreLine(n int) string { return fmt.Sprintf("… and %d more", n) }

// units counts UTF-16, as Telegram does. No service counts more than that.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// asIs is for a service without markup.
func asIs(s string) string { return s }

// codeIf makes a text code if it has one of the characters that a service could take for
// markup, or a link.
func codeIf(special string, escape, code func(string) string) func(string) string {
	return func(s string) string {
		if strings.ContainsAny(s, special) || strings.Contains(s, "://") {
			return code(s)
		}
		return escape(s)
	}
}

// hook asks at a URL that is a secret itself.
func hook(url post.Secret, accepted func(post.Answer) *post.Refusal) (post.Request, error) {
	key, value, err := url.Reveal()
	return post.Request{URL: value, URLKey: key, Accepted: accepted}, err
}

// singleLine checks a setting that is shown to people.
func singleLine(key, s string) error {
	if wording.Clip(s, 80) != s {
		return fmt.Errorf("%s: invalid name %q: want up to 80 visible characters", key, wording.Clip(s, 80))
	}
	return nil
}
