package publish

import (
	"context"
	"sync/atomic"
	"time"
)

// sizes is how large messages may be. The server says its limit at any time. The
// stream's max_msg_size is asked for, which a host may not be allowed to, and found
// out from what the stream refuses. Both may change while the bridge runs: what was
// found out is tried again after largerEvery, by sending what is larger.
type sizes struct {
	stream int // max_msg_size as the stream said it; 0 for none, or if it is not known
	// taken is the largest message that it took: a larger one goes alone, so that
	// nothing overtakes it if it is refused.
	taken int
	// tried is a size that is likely to be taken, since one was refused; 0 if none was.
	// Refused is the smallest that was.
	tried, refused int
	since          time.Time
	before         int // what tried was before it was given up for another try
	said           bool
	last           time.Time    // when something could not be published
	every          atomic.Int64 // largerEvery, but for tests
}

// limit is how large a message may be; guessed says that the stream may take a
// larger one.
func (s *session) limit() (limit int, guessed bool) {
	z := &s.sizes
	limit = int(s.nc.MaxPayload())
	if (z.tried > 0 || z.stream > 0) && time.Since(z.since) > time.Duration(z.every.Load()) {
		z.before, z.tried, z.refused, z.stream, z.since = z.tried, 0, 0, 0, time.Now()
	}
	if z.stream > 0 {
		limit = min(limit, z.stream)
	}
	if z.tried == 0 || z.tried >= limit {
		return limit, false
	}
	return z.tried, true
}

// tooLarge takes note that the stream refused a message of a size.
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
	z.before, z.taken, z.since = 0, 0, time.Now()
}

// askSize asks for the stream's limit. Not to be allowed to is no trouble.
func (s *session) askSize(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	info, err := s.js.Stream(ctx, s.cfg.Stream)
	if err != nil {
		return
	}
	s.sizes.stream = max(0, int(info.CachedInfo().Config.MaxMsgSize))
	s.sizes.tried, s.sizes.refused, s.sizes.before, s.sizes.since = 0, 0, 0, time.Now()
	if info.CachedInfo().Config.AllowMsgTTL {
		s.noTTL = time.Time{}
	}
}

// sayTooLarge reports what was not published, or not as a whole.
func (p *Publisher) sayTooLarge(err error) {
	p.sizes.said, p.sizes.last = true, time.Now()
	p.raise(CauseTooLarge, err.Error(), "raise max_payload of nats-server or max_msg_size of the stream (nats stream edit "+p.cfg.Stream+" --max-msg-size=-1)")
}

// quiet clears what was reported when it has not come again for a while.
func (p *Publisher) quiet() {
	if p.sizes.said && time.Since(p.sizes.last) > largerEvery {
		p.sizes.said = false
		p.clear(CauseTooLarge)
	}
	if p.taken.said && time.Since(p.taken.last) > largerEvery {
		p.taken.said = false
		p.clear(CauseTaken)
	}
}
