package live

import (
	"bytes"
	"encoding/json"
)

// Frame is what a view shows at one time, without the spans of time in it: two frames are
// the same if nothing has changed but the time.
type Frame struct {
	// Head is what stands above the lists, Summary the same in one sentence, and Status the
	// line that says whether all this is up to date. Head and Status are HTML.
	Head, Summary, Status string
	Rows                  []Row
	// Mark stands for everything else on the page. When it changes, viewers get the page
	// again.
	Mark string
}

// Row is an element of a list, in HTML.
type Row struct {
	// List is the id of the list's element, ID that of the row's.
	List, ID, HTML string
}

// Names of the events of a stream.
const (
	// eventCounts has what stands above the lists, eventRow a row that has changed,
	// eventGone one that is no longer on this page, eventNew one that has come.
	eventCounts = "counts"
	eventRow    = "row"
	eventGone   = "gone"
	eventNew    = "new"
	// eventReset asks for the page again, eventPing shows that the stream lives.
	eventReset = "reset"
	eventPing  = "ping"
)

// message is the data of an event.
type message struct {
	View string `json:"view"`
	// List and ID are those of a row. A new one stands after the row After, first if that
	// is empty.
	List  string `json:"list,omitempty"`
	ID    string `json:"id,omitempty"`
	After string `json:"after,omitempty"`
	HTML  string `json:"html,omitempty"`

	Head    string `json:"head,omitempty"`
	Summary string `json:"summary,omitempty"`
	Status  string `json:"status,omitempty"`
}

// difference writes the events that make one frame of a view another one.
func difference(view string, from, to *Frame) []byte {
	var b bytes.Buffer
	if from.Mark != to.Mark {
		writeEvent(&b, eventReset, message{View: view})
		return b.Bytes()
	}

	before := make(map[Row]string, len(from.Rows)) // by list and id
	for _, r := range from.Rows {
		before[Row{List: r.List, ID: r.ID}] = r.HTML
	}
	kept := make(map[Row]bool, len(to.Rows))
	for _, r := range to.Rows {
		kept[Row{List: r.List, ID: r.ID}] = true
	}
	for _, r := range from.Rows {
		if !kept[Row{List: r.List, ID: r.ID}] {
			writeEvent(&b, eventGone, message{View: view, List: r.List, ID: r.ID})
		}
	}

	last := map[string]string{} // the row before, by list
	for _, r := range to.Rows {
		html, known := before[Row{List: r.List, ID: r.ID}]
		switch {
		case !known:
			writeEvent(&b, eventNew, message{View: view, List: r.List, ID: r.ID, After: last[r.List], HTML: r.HTML})
		case html != r.HTML:
			writeEvent(&b, eventRow, message{View: view, List: r.List, ID: r.ID, HTML: r.HTML})
		}
		last[r.List] = r.ID
	}

	if from.Head != to.Head || from.Summary != to.Summary || from.Status != to.Status {
		writeEvent(&b, eventCounts, message{View: view, Head: to.Head, Summary: to.Summary, Status: to.Status})
	}
	return b.Bytes()
}

// writeEvent writes an event without an id. JSON has no line breaks in it.
func writeEvent(b *bytes.Buffer, name string, m message) {
	data, err := json.Marshal(m)
	if err != nil { // strings always can be encoded
		panic(err)
	}
	b.WriteString("event: " + name + "\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
}
