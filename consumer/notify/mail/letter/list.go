package letter

import (
	"html"
	htmltemplate "html/template"
	"strings"
)

// list is one of both bodies: what happened to whom, and when. In a page every entry is a
// card, so that it needs no more room than the narrowest screen has; in a text it is a line
// or two, which may be broken anywhere.
type list struct {
	// Title stands above it; it begins with a word of ours.
	Title   string
	entries []entry
}

// entry is one of a list. Names in it come from processes: in a text every line begins with
// a mark, so that no name makes a line that looks like another one.
type entry struct {
	kind entryKind
	// who it happened to, what it was and when.
	who, what, when string
}

type entryKind int

const (
	// entryCard is all there is to say of one alert: who, what and when.
	entryCard entryKind = iota
	// entryHead begins a card of several events with a sentence, in what.
	entryHead
	// entryEvent is an event of the card: when, who if the head does not say it, what.
	entryEvent
	// entryNote is what else there is to say, in what.
	entryNote
	// entryLink is a link of the card: its name in what, its address in when.
	entryLink
	// entryCount is a line of a summary, in what.
	entryCount
)

func newList(title string, size int) *list {
	return &list{Title: title, entries: make([]entry, 0, size)}
}

func (l *list) addCard(who, what, when string) {
	l.entries = append(l.entries, entry{entryCard, who, what, when})
}

func (l *list) addHead(sentence string) {
	l.entries = append(l.entries, entry{kind: entryHead, what: sentence})
}

func (l *list) addEvent(when, who, what string) {
	l.entries = append(l.entries, entry{entryEvent, who, what, when})
}

func (l *list) addNote(text string) {
	if text != "" {
		l.entries = append(l.entries, entry{kind: entryNote, what: text})
	}
}

func (l *list) addLink(name, address string) {
	if address != "" {
		l.entries = append(l.entries, entry{kind: entryLink, what: name, when: address})
	}
}

func (l *list) addCount(text string) {
	l.entries = append(l.entries, entry{kind: entryCount, what: text})
}

// Text is the list in a text. Its lines are indented, and less than those of a log,
// which begin with four spaces and what the process wrote.
func (l *list) Text() string {
	var b strings.Builder
	b.Grow(len(l.entries) * 100)
	line := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
		b.WriteByte('\n')
	}

	for i := range l.entries {
		switch e := &l.entries[i]; e.kind {
		case entryCard:
			line(" * ", spaced(e.who, e.what))
			line("   ", e.when)
		case entryHead:
			line(" * ", e.what)
		case entryEvent:
			line("   ", e.when, ": ", spaced(e.who, e.what))
		case entryNote:
			line("   Note: ", e.what)
		case entryLink:
			line("   ", e.what, ": ", e.when)
		case entryCount:
			line("  ", e.what)
		}
	}
	return b.String()
}

// HTML is the list in a page. It is written here and not by the template, with which the
// whole mail takes twice the time for ten thousand events; its style is that of the page,
// since every one of ten thousand cards would repeat it.
func (l *list) HTML() htmltemplate.HTML {
	w := &page{}
	w.text.Grow(len(l.entries) * 160)
	w.text.WriteString("<ul>\n")
	for i := range l.entries {
		w.entry(&l.entries[i], i == 0)
	}
	w.text.WriteString("\n</ul>")
	return htmltemplate.HTML(w.text.String())
}

// page writes entries as HTML.
type page struct{ text strings.Builder }

// put writes a text between two tags, unless it is empty.
func (w *page) put(before, text, after string) {
	if text != "" {
		w.text.WriteString(before)
		w.text.WriteString(html.EscapeString(text))
		w.text.WriteString(after)
	}
}

// entry writes an entry; first says that it is that of the list.
func (w *page) entry(e *entry, first bool) {
	begin, next := "<li>", "\n<br>"
	if first {
		next = begin
	} else {
		begin = "\n<li>"
	}

	switch e.kind {
	case entryCard:
		w.text.WriteString(begin)
		w.put("<b>", e.who, "</b> ")
		w.put("", e.what, "")
		w.put("<br><i>", e.when, "</i>")
	case entryHead:
		w.put(begin+"<b>", e.what, "</b>")
	case entryEvent:
		w.text.WriteString(next)
		w.put("<i>", e.when, "</i> ")
		w.put("", spaced(e.who, e.what), "")
	case entryNote:
		w.put("\n<br>", e.what, "")
	case entryLink:
		w.put("\n<br><a href=\"", e.when, "\">")
		w.put("", e.what, "</a>")
	case entryCount:
		w.put(next, e.what, "")
	}
}

// spaced is who and what, either of which may be missing.
func spaced(who, what string) string {
	if who == "" || what == "" {
		return who + what
	}
	return who + " " + what
}
