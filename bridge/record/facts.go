package record

import (
	"bytes"
	"encoding/json"

	"supernats/bridge/eventlistener"
	"supernats/schema"
)

// Facts are what only this moment knows of the death that an event reports. They are
// stored with the event, since after a restart, or when NATS has been away for hours,
// nobody could find them out.
type Facts struct {
	// Exit is what the kernel said.
	Exit *schema.Exit `json:"exit,omitempty"`
	// Ran is how long the process had been running, in seconds.
	Ran *float64 `json:"ran,omitempty"`
	// OOM is set if the process was killed because memory ran out; the reason is in Exit
	// or comes from supervisord's log.
	OOM *schema.OOM `json:"oom,omitempty"`
	// Last is the last look at it.
	Last *schema.Look `json:"last,omitempty"`
}

// Apply gives an event what is known of its death. Its reason may have been found out
// in supervisord's log too.
func (f *Facts) Apply(e *schema.Event) {
	if f == nil {
		return
	}

	if e.Exit == nil && hasReason(e) {
		e.Exit = f.Exit
	}
	if f.OOM != nil && e.Exit != nil && e.Exit.Signal == "SIGKILL" {
		exit := *e.Exit // others hold it too
		exit.OOM = f.OOM
		e.Exit = &exit
	}

	if e.Exit != nil && e.Exit.SpawnErr != "" {
		return // it has never run
	}

	if e.Ran == nil {
		e.Ran = f.Ran
	}
	if e.Last == nil {
		e.Last = f.Last
	}
}

// hasReason reports whether an event is one of those that have a reason.
func hasReason(e *schema.Event) bool {
	return e.UnexpectedExit() || e.Event == schema.ProcessStateBackoff || e.Event == schema.ProcessStateFatal
}

// factsMark begins the facts in the record of an event, after its payload. They look
// like one more pair of it, without white space: a bridge that does not know them
// publishes them as extra.
const factsMark = "\nsupernats:"

// AppendTo appends the facts to the record of their event.
func (f *Facts) AppendTo(rec []byte) []byte {
	if f == nil || *f == (Facts{}) {
		return rec
	}
	data, err := json.Marshal(f)
	if err != nil {
		return rec // no number, texts and numbers only: they always encode
	}
	// Blanks are in strings only.
	data = bytes.ReplaceAll(data, []byte(" "), []byte(`\u0020`))
	return append(append(rec, factsMark...), data...)
}

// CutFacts takes the facts off the payload of a record; only events of process states
// have any, and one line of their own.
func CutFacts(h *eventlistener.Header, payload []byte) ([]byte, *Facts) {
	if !schema.Is(h.Event, "PROCESS_STATE") {
		return payload, nil
	}
	line, data, ok := bytes.Cut(payload, []byte(factsMark))
	if !ok {
		return payload, nil
	}
	f := new(Facts)
	if json.Unmarshal(data, f) != nil {
		return line, nil
	}
	return line, f
}
