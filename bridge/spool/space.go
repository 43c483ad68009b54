package spool

import (
	"fmt"

	"supernats/bridge/spool/files"
)

const (
	// reserve is how many bytes of the file system are left to others, on a small one its
	// size divided by reservePart.
	reserve     = 64 << 20
	reservePart = 50
	// spaceEvery is how many bytes are appended between two checks of the space.
	spaceEvery = 1 << 20
)

// space knows whether the file system has room. The spool's lock guards it.
type space struct {
	fs     files.System
	dir    string
	unseen int64 // bytes appended since the last check
	full   bool  // at the last check, or at a write after it
}

// isDue reports whether a check is due before size bytes are written.
func (p *space) isDue(size int64) bool {
	return p.full || p.unseen >= spaceEvery || size >= spaceEvery
}

// check returns ErrDiskFull if the file system has no room for want bytes and for what is
// appended until the next check.
func (p *space) check(want int64) error {
	free, total, err := p.fs.Space(p.dir)
	if err != nil {
		return fmt.Errorf("check the space for the spool: %w", err)
	}

	p.full = free < min(reserve, total/reservePart)+uint64(want)+spaceEvery
	if p.full {
		return ErrDiskFull
	}
	p.unseen = 0
	return nil
}

// failed wraps the error of a write; a lack of room is ErrDiskFull.
func (p *space) failed(what string, err error) error {
	if files.IsFull(err) {
		p.full = true
		return ErrDiskFull
	}
	return fmt.Errorf("%s: %w", what, err)
}

// room is a signal that there may be room again. The spool's lock guards it.
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
