package publish

import (
	"sync/atomic"
	"time"
)

// sizes is how large messages may be, in bytes. The server announces its max_payload at any
// time. The stream's max_msg_size is asked for, which a host may not be allowed to, and
// guessed from what the stream refuses. Both may change while the bridge runs, so after
// largerEvery larger messages are tried again.
type sizes struct {
	stream int // max_msg_size according to the stream; 0 for none, or if it is not known
	// taken is the largest message that the stream took: a larger one goes alone, so that
	// nothing overtakes it if it is refused.
	taken int
	// refused is the smallest message that the stream refused, tried a smaller size that it
	// is likely to take; both 0 if it refused none.
	tried, refused int
	since          time.Time // when one of these was last set
	before         int       // what tried was before the last attempt with larger messages

	raised bool         // it is reported that something could not be published
	last   time.Time    // when something could not be published
	every  atomic.Int64 // largerEvery, except in tests
}

// limit returns how large a message may be where the server takes maxPayload; guessed says
// that the stream may take a larger one.
func (z *sizes) limit(maxPayload int) (limit int, guessed bool) {
	limit = maxPayload
	if (z.tried > 0 || z.stream > 0) && time.Since(z.since) > time.Duration(z.every.Load()) {
		z.before = z.tried
		z.tried = 0
		z.refused = 0
		z.stream = 0
		z.since = time.Now()
	}

	if z.stream > 0 {
		limit = min(limit, z.stream)
	}
	if z.tried == 0 || z.tried >= limit {
		return limit, false
	}
	return z.tried, true
}

// setLimit notes the stream's max_msg_size; 0 for none.
func (z *sizes) setLimit(size int) {
	z.stream = size
	z.tried = 0
	z.refused = 0
	z.before = 0
	z.since = time.Now()
}

// tooLarge notes that the stream refused a message of that size.
func (z *sizes) tooLarge(size int) {
	if z.refused == 0 || size < z.refused {
		z.refused = size
	}

	switch {
	case z.before > 0 && z.before < size:
		z.tried = z.before // as it was before the last try
	case z.tried == 0 || size <= z.tried:
		z.tried = max(minPayload, size/2)
	}

	z.before = 0
	z.taken = 0
	z.since = time.Now()
}

// reportTooLarge reports that something was not published, or not as a whole.
func (p *Publisher) reportTooLarge(err error) {
	p.sizes.raised = true
	p.sizes.last = time.Now()
	p.raise(CauseTooLarge, err.Error(), "raise max_payload of nats-server or max_msg_size of the stream "+
		"(nats stream edit "+p.cfg.Stream+" --max-msg-size=-1)")
}

// clearQuiet clears the troubles that have no end of their own, when they have not come
// again for largerEvery.
func (p *Publisher) clearQuiet() {
	if p.sizes.raised && time.Since(p.sizes.last) > largerEvery {
		p.sizes.raised = false
		p.clear(CauseTooLarge)
	}
	if p.taken.raised && time.Since(p.taken.last) > largerEvery {
		p.taken.raised = false
		p.clear(CauseTaken)
	}
}
