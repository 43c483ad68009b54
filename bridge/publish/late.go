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
	p.known, p.sure = nil, false
	p.doubt += records
	p.left += records
	p.seq = min(p.seq, seq)
}
