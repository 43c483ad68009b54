package publish

import "errors"

// ErrBeginAgain is an error of Source.Next: records of an earlier run have come to light
// that go before those in flight. After Rewind they are read first.
var ErrBeginAgain = errors.New("records of an earlier run have come to light")

// Doubter is a Source in which records of an earlier run may come to light.
type Doubter interface {
	// Doubt returns how many of the oldest records have come to light since the last
	// call, and the stream's sequence of the last acknowledgement among them, 0 if it
	// is not known. It is called after Rewind.
	Doubt() (records int, seq uint64)
}

// Awaiter is a Source whose records somebody may wait for.
type Awaiter interface {
	// Awaited reports whether somebody waits until what the source hands out is
	// acknowledged. Then the publisher does not let records accumulate.
	Awaited() bool
}

// noteLate puts records that have come to light in doubt: an earlier run may have sent
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
