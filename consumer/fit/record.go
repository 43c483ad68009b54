package fit

import (
	"errors"
	"fmt"
	"slices"

	"supernats/schema"
)

// ErrTooLarge is of a record that is too large however short it is made.
var ErrTooLarge = errors.New("record is too large")

// Record returns the JSON of a record of a bucket, of at most limit bytes. short reports
// that some of the record is left out. No alert may wait for a record that is too large:
// one that does not fit at all is ErrTooLarge. The record itself stays as it is.
func Record(record any, limit int) (json []byte, short bool, err error) {
	json, err = schema.Marshal(record)
	if err != nil || len(json) <= limit {
		return json, false, err
	}

	var steps []func()
	switch r := record.(type) {
	case *schema.HostRecord:
		record, steps = hostSteps(r)
	case *schema.Alert:
		record, steps = alertSteps(r, limit)
	case *schema.ProcessRecord:
		record, steps = processSteps(r)
	}
	for _, step := range steps {
		step()
		json, err = schema.Marshal(record)
		if err != nil || len(json) <= limit {
			return json, true, err
		}
	}
	return nil, true, fmt.Errorf("%w: it has %d bytes, at most %d are allowed by max_payload of nats-server "+
		"or by max_msg_size of the stream", ErrTooLarge, len(json), limit)
}

// processSteps returns a copy of the record of a process, and what makes it shorter.
func processSteps(r *schema.ProcessRecord) (*schema.ProcessRecord, []func()) {
	p := *r
	return &p, []func(){func() {
		p.Exit = shortenExit(p.Exit, shortText)
		p.Last = nil
		if p.Crashes != nil { // none is known of the time before
			p.Crashes = &schema.Crashes{Since: p.Updated}
		}
	}}
}

// hostSteps returns a copy of the record of a host, and what makes it shorter step by
// step: first what is reported again, last what the daemon needs. What is left out of a
// living host comes back with its next messages.
func hostSteps(r *schema.HostRecord) (*schema.HostRecord, []func()) {
	h := *r
	h.Lives = slices.Clone(h.Lives)
	h.Bridges = slices.Clone(h.Bridges)
	h.Troubles = slices.Clone(h.Troubles)

	fewer := func(n int) func() { return func() { keepNewest(&h, n) } }
	return &h, []func(){
		func() { shortenHostTexts(&h) },
		fewer(8), fewer(4), fewer(2),
		func() { dropHostNames(&h) },
		fewer(1), fewer(0),
	}
}

func shortenHostTexts(h *schema.HostRecord) {
	for i := range h.Troubles {
		t := &h.Troubles[i]
		t.Text = Text(t.Text, shortText/2)
		t.Fix = Text(t.Fix, shortText/2)
	}

	for i := range h.Bridges {
		b := &h.Bridges[i]
		if b.Section != nil {
			section := *b.Section
			section.Events = section.Events[:min(len(section.Events), 8)]
			section.SamePriority, section.File = nil, ""
			b.Section = &section
		}
		if b.Reasons != nil {
			reasons := *b.Reasons
			reasons.Problem, reasons.Fix = Text(reasons.Problem, shortText/2), ""
			b.Reasons = &reasons
		}
	}
}

// keepNewest keeps n troubles, bridges and lives; of the lives, those that have ended go
// first.
func keepNewest(h *schema.HostRecord, n int) {
	if len(h.Troubles) > n {
		h.MoreTroubles += len(h.Troubles) - n
		h.Troubles = h.Troubles[:n]
	}
	h.Bridges = h.Bridges[max(0, len(h.Bridges)-n):]
	for len(h.Lives) > n {
		over := max(0, slices.IndexFunc(h.Lives, func(l schema.HostLife) bool { return l.Ended != nil }))
		h.Lives = slices.Delete(h.Lives, over, over+1)
	}
}

func dropHostNames(h *schema.HostRecord) {
	for i := range h.Lives {
		l := &h.Lives[i]
		l.Pools = l.Pools[:min(len(l.Pools), 1)]
		l.Instances = l.Instances[:min(len(l.Instances), 1)]
	}
	for i := range h.Bridges {
		h.Bridges[i].Section, h.Bridges[i].Reasons = nil, nil
	}
}

// alertSteps returns a copy of the record of an alert, and what makes it shorter step by
// step. The rules keep what it lists below the limit (Engine.Room); this is for what
// nobody has thought of.
func alertSteps(r *schema.Alert, limit int) (*schema.Alert, []func()) {
	a := *r
	texts := func(kept int) func() { return func() { shortenAlertTexts(&a, kept) } }
	// What the next notification would list is kept the longest: half as much of the
	// rest each time.
	half := func() {
		a.Members = a.Members[:len(a.Members)/2]
		a.Matched = a.Matched[len(a.Matched)/2:]
	}
	fewer := func() {
		half()
		a.Unsent = a.Unsent[len(a.Unsent)/2:]
		a.UnsentStates = a.UnsentStates[len(a.UnsentStates)/2:]
	}

	steps := []func(){texts(limit / 8), half, half, half, half, half, half, texts(0)}
	for range 16 {
		steps = append(steps, fewer)
	}
	return &a, steps
}

func shortenAlertTexts(a *schema.Alert, kept int) {
	a.Labels = shortenTexts(a.Labels, kept)
	a.Annotations = shortenTexts(a.Annotations, kept)
	if a.Last != nil {
		last := *a.Last
		shortenEvent(&last, shortText)
		a.Last = &last
	}
	a.UnsentStates = slices.Clone(a.UnsentStates)
	for i := range a.UnsentStates {
		shortenEvent(&a.UnsentStates[i], shortText)
	}
}
