package live

import (
	"bytes"
	"encoding/json"
	"slices"
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
	// eventGone one that is no longer on this page, eventNew one that has come, and
	// eventOrder all rows of a list whose order has changed.
	eventCounts = "counts"
	eventRow    = "row"
	eventGone   = "gone"
	eventNew    = "new"
	eventOrder  = "order"
	// eventReset asks for the page again, eventPing shows that the stream lives.
	eventReset = "reset"
	eventPing  = "ping"
)

// message is the data of an event.
type message struct {
	View string `json:"view,omitempty"`
	// List and ID are those of a row. A new one stands after the row After, first if that
	// is empty. Order has the ids of all rows of a list.
	List  string   `json:"list,omitempty"`
	ID    string   `json:"id,omitempty"`
	After string   `json:"after,omitempty"`
	HTML  string   `json:"html,omitempty"`
	Order []string `json:"order,omitempty"`

	Head    string `json:"head,omitempty"`
	Summary string `json:"summary,omitempty"`
	Status  string `json:"status,omitempty"`

	// Within is the time in milliseconds over which viewers should spread their requests for
	// the page, Now the server's time in milliseconds since 1970.
	Within int64 `json:"within,omitempty"`
	Now    int64 `json:"now,omitempty"`
}

// rowKey tells rows of a frame apart.
type rowKey struct{ list, id string }

func (r *Row) key() rowKey { return rowKey{r.List, r.ID} }

// difference writes the events that make one frame of a view another one. Where that needs
// the page again, isReset says so, and nothing is written.
func difference(view string, from, to *Frame) (text []byte, isReset bool) {
	if from.Mark != to.Mark {
		return nil, true
	}
	var b bytes.Buffer
	before := make(map[rowKey]string, len(from.Rows))
	for _, r := range from.Rows {
		before[r.key()] = r.HTML
	}
	kept := make(map[rowKey]bool, len(to.Rows))
	for _, r := range to.Rows {
		kept[r.key()] = true
	}
	for _, r := range from.Rows {
		if !kept[r.key()] {
			writeEvent(&b, eventGone, message{View: view, List: r.List, ID: r.ID})
		}
	}

	last := map[string]string{} // the row before, by list
	for _, r := range to.Rows {
		html, known := before[r.key()]
		switch {
		case !known:
			writeEvent(&b, eventNew, message{View: view, List: r.List, ID: r.ID, After: last[r.List], HTML: r.HTML})
		case html != r.HTML:
			writeEvent(&b, eventRow, message{View: view, List: r.List, ID: r.ID, HTML: r.HTML})
		}
		last[r.List] = r.ID
	}

	writeOrders(&b, view, from, to)
	if from.Head != to.Head || from.Summary != to.Summary || from.Status != to.Status {
		writeCounts(&b, view, to)
	}
	return b.Bytes(), false
}

// writeCounts writes what stands above the lists of a view.
func writeCounts(b *bytes.Buffer, view string, f *Frame) {
	writeEvent(b, eventCounts, message{View: view, Head: f.Head, Summary: f.Summary, Status: f.Status})
}

// writeOrders writes the order of each list in which rows that stay have changed places.
func writeOrders(b *bytes.Buffer, view string, from, to *Frame) {
	place := make(map[rowKey]int, len(from.Rows))
	for i, r := range from.Rows {
		place[r.key()] = i
	}

	var moved []string
	furthest := map[string]int{} // place of a row before, by list
	for _, r := range to.Rows {
		at, known := place[r.key()]
		if !known {
			continue
		}
		if at < furthest[r.List] && !slices.Contains(moved, r.List) {
			moved = append(moved, r.List)
		}
		furthest[r.List] = max(furthest[r.List], at)
	}

	for _, list := range moved {
		m := message{View: view, List: list}
		for _, r := range to.Rows {
			if r.List == list {
				m.Order = append(m.Order, r.ID)
			}
		}
		writeEvent(b, eventOrder, m)
	}
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
