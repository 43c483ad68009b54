package spool

import (
	"fmt"

	"supernats/bridge/spool/files"
)

const (
	// reserve is how much of the file system is left to others: so many bytes, and on a
	// small one 1 of so many.
	reserve     = 64 << 20
	reservePart = 50
	// spaceEvery is how many bytes are appended between two looks at the space.
	spaceEvery = 1 << 20
)

// space knows whether the file system has room. The spool's lock guards it.
type space struct {
	fs     files.System
	dir    string
	unseen int64 // bytes appended since the last look
	full   bool
}

// isDue reports whether the space has to be looked at before so many bytes are written.
func (p *space) isDue(size int64) bool {
	return p.full || p.unseen >= spaceEvery || size >= spaceEvery
}

// check returns ErrDiskFull if the file system has no room for so many bytes and what
// comes until the next look.
func (p *space) check(want int64) error {
	free, total, err := p.fs.Space(p.dir)
	if err != nil {
		return fmt.Errorf("look at the space for the spool: %w", err)
	}

	p.full = free < min(reserve, total/reservePart)+uint64(want)+spaceEvery
	if p.full {
		return ErrDiskFull
	}
	p.unseen = 0
	return nil
}

// failed wraps an error of a write; want of room is ErrDiskFull.
func (p *space) failed(what string, err error) error {
	if files.IsFull(err) {
		p.full = true
		return ErrDiskFull
	}
	return fmt.Errorf("%s: %w", what, err)
}

// room lets others wait until there may be room. The spool's lock guards it.
type room struct {
	c chan struct{} // nil if nobody has asked
}

// wait returns a channel that is closed by the next signal.
func (r *room) wait() <-chan struct{} {
	if r.c == nil {
		r.c = make(chan struct{})
	}
	return r.c
}

// signal ends the wait of all.
func (r *room) signal() {
	if r.c != nil {
		close(r.c)
		r.c = nil
	}
}
