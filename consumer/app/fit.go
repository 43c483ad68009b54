package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
)

// recordHeaders is more than the headers of a record take.
const recordHeaders = 512

// recordLimit is how large a record of a bucket may be: the server and the stream of
// the bucket each have a limit.
func recordLimit(js jetstream.JetStream, s jetstream.StreamConfig) int {
	limit := int(js.Conn().MaxPayload())
	if s.MaxMsgSize > 0 {
		limit = min(limit, int(s.MaxMsgSize))
	}
	return limit - recordHeaders
}

// fitted is the JSON of a record, no larger than limit if that is possible; short says
// that some of it is left out. No alert may wait for a record that is too large.
func fitted(record any, limit int) (json []byte, short bool, err error) {
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
		record, steps = stateSteps(r)
	}
	for _, step := range steps {
		step()
		if json, err = schema.Marshal(record); err != nil || len(json) <= limit {
			return json, true, err
		}
	}
	return nil, true, fmt.Errorf("%w: it has %d bytes, at most %d are allowed by max_payload of nats-server or by max_msg_size of the stream", errTooLarge, len(json), limit)
}

// errTooLarge is of a record for which there is no room however short it is made.
var errTooLarge = errors.New("record is too large")

// stateSteps make the record of a process shorter.
func stateSteps(r *schema.ProcessRecord) (*schema.ProcessRecord, []func()) {
	s := *r
	return &s, []func(){func() {
		s.Exit, s.Last = shorterExit(s.Exit, shortText), nil
	}}
}

// hostSteps make the record of a host shorter: by what is told again first, and by what
// the daemon needs last. What is left out of a living host comes back with its next
// messages.
func hostSteps(r *schema.HostRecord) (*schema.HostRecord, []func()) {
	h := *r
	h.Lives, h.Bridges, h.Troubles = slices.Clone(h.Lives), slices.Clone(h.Bridges), slices.Clone(h.Troubles)

	texts := func() {
		for i := range h.Troubles {
			t := &h.Troubles[i]
			t.Text, t.Fix = shorter(t.Text, shortText/2), shorter(t.Fix, shortText/2)
		}
		for i := range h.Bridges {
			b := &h.Bridges[i]
			if b.Section != nil {
				s := *b.Section
				s.Events, s.SamePriority, s.File = s.Events[:min(len(s.Events), 8)], nil, ""
				b.Section = &s
			}
			if b.Reasons != nil {
				r := *b.Reasons
				r.Problem, r.Fix = shorter(r.Problem, shortText/2), ""
				b.Reasons = &r
			}
		}
	}
	fewer := func(n int) func() {
		return func() {
			if len(h.Troubles) > n {
				h.MoreTroubles, h.Troubles = h.MoreTroubles+len(h.Troubles)-n, h.Troubles[:n]
			}
			h.Bridges = h.Bridges[max(0, len(h.Bridges)-n):]
			for len(h.Lives) > n {
				over := slices.IndexFunc(h.Lives, func(l schema.HostLife) bool { return l.Ended != nil })
				h.Lives = slices.Delete(h.Lives, max(0, over), max(0, over)+1)
			}
		}
	}
	names := func() {
		for i := range h.Lives {
			l := &h.Lives[i]
			l.Pools, l.Instances = l.Pools[:min(len(l.Pools), 1)], l.Instances[:min(len(l.Instances), 1)]
		}
		for i := range h.Bridges {
			h.Bridges[i].Section, h.Bridges[i].Reasons = nil, nil
		}
	}
	return &h, []func(){texts, fewer(8), fewer(4), fewer(2), names, fewer(1), fewer(0)}
}

// alertSteps make the record of an alert shorter. The rules keep what it lists below
// the limit, see rules.Room; this is for what nobody has thought of.
func alertSteps(r *schema.Alert, limit int) (*schema.Alert, []func()) {
	a := *r
	texts := func(kept int) func() {
		return func() {
			a.Labels, a.Annotations = shorterTexts(a.Labels, kept), shorterTexts(a.Annotations, kept)
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
	}
	// What the next notification would list is kept the longest: half as much of the
	// rest each time.
	half := func() {
		a.Members, a.Matched = a.Members[:len(a.Members)/2], a.Matched[len(a.Matched)/2:]
	}
	fewer := func() {
		half()
		a.Unsent, a.UnsentStates = a.Unsent[len(a.Unsent)/2:], a.UnsentStates[len(a.UnsentStates)/2:]
	}
	steps := []func(){texts(limit / 8), half, half, half, half, half, half, texts(0)}
	for range 16 {
		steps = append(steps, fewer)
	}
	return &a, steps
}

// badTime is a time that an earlier version has written and nobody can read: of a year
// that has not four digits.
var badTime = regexp.MustCompile(`"(-\d+|\d{5,})-\d\d-\d\dT[\d:.]+Z"`)

// unmarshalRecord reads a record. One with a time that cannot be is read with another
// one: it may be about other hosts too.
func unmarshalRecord(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if err == nil || !badTime.Match(data) {
		return err
	}
	return json.Unmarshal(badTime.ReplaceAllFunc(data, func(t []byte) []byte {
		if t[1] == '-' {
			return []byte(`"0000-01-01T00:00:00Z"`)
		}
		return []byte(`"9999-12-31T23:59:59Z"`)
	}), v)
}
