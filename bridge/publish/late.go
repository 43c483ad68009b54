package publish

import "errors"

// ErrBeginAgain is an error of Source.Next: records that go before those that are in
// flight have come to light. After Rewind they are read first.
var ErrBeginAgain = errors.New("records of an earlier run have come to light")

// Doubter is a Source in which records of an earlier run may come to light.
type Doubter interface {
	// Doubt returns how many of the oldest records have come to light since the last
	// call, and the stream's sequence of the last acknowledgement among them, 0 if it
	// is not known. It is called after Rewind.
	Doubt() (records int, seq uint64)
}

// Awaiter is a Source of which somebody may wait for what it hands out to be
// acknowledged: then records are not gathered.
type Awaiter interface{ Awaited() bool }

// noteLate takes note of records that have come to light: an earlier run may have sent
// them.
func (p *Publisher) noteLate() {
	d, ok := p.cfg.Source.(Doubter)
	if !ok {
		return
	}

	records, seq := d.Doubt()
	if records == 0 {
		return
	}

	p.known = nil
	p.sure = false
	p.inDoubt += records
	p.leftOver += records
	p.lastSeq = min(p.lastSeq, seq)
}
