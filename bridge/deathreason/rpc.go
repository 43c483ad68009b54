package deathreason

import (
	"errors"
	"time"
)

// rpc keeps the errors of supervisord's XML-RPC: after one it is left alone for a while.
// Reasons.turn guards it.
type rpc struct {
	cfg *Config
	// all is of all calls, log of those that read its log.
	all, log pauses
}

// mayCall reports whether supervisord may be asked now.
func (r *rpc) mayCall(now time.Time) bool { return r.cfg.Server != nil && r.all.isOver(now) }

// mayReadLog reports whether its log may be read now.
func (r *rpc) mayReadLog(now time.Time) bool { return r.all.isOver(now) && r.log.isOver(now) }

// answered notes that supervisord has answered.
func (r *rpc) answered() { r.all.clear() }

// logAnswered notes that its log was read.
func (r *rpc) logAnswered() {
	r.all.clear()
	r.log.clear()
}

// logUnreadable notes that supervisord answers, but its log cannot be read.
func (r *rpc) logUnreadable(err error) {
	r.all.clear()
	r.warnFirst(&r.log, err)
}

// failed notes that supervisord does not answer.
func (r *rpc) failed(err error) { r.warnFirst(&r.all, err) }

// warnFirst begins a pause, and reports the error if it is the first of its series, unless
// it says that supervisord is shutting down.
func (r *rpc) warnFirst(p *pauses, err error) {
	var fault interface{ ShuttingDown() bool }
	first := p.begin(time.Now())
	if first && !(errors.As(err, &fault) && fault.ShuttingDown()) {
		r.cfg.Warn(err)
	}
}
